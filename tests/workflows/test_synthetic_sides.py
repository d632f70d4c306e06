"""People with and without a lesion on one side, for pre-training and classification."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lesionlab.engine.images import read_image, read_label
from lesionlab.layouts import Table
from lesionlab.workflows import synthetic_sides
from lesionlab.workflows.check import judge
from lesionlab.workflows.synthetic_patients import load_anatomy
from lesionlab.workflows.synthetic_sides import make_sided_cohort

COARSE_MM = (4.0, 4.0, 6.0)


@pytest.fixture(scope="module")
def loaded_once() -> Iterator[None]:
    anatomy = load_anatomy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic_sides, "load_anatomy", lambda: anatomy)
        yield


@pytest.fixture(scope="module")
def people(loaded_once: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sided_cohort(tmp_path_factory.mktemp("people"), people=12, seed=3, spacing_mm=COARSE_MM).parent


def test_the_layout_finds_everybody(people: Path):
    layout = Table(people)
    cases = list(layout.cases())
    assert layout.modalities == ("flair", "t1")
    assert len(cases) == 12
    for split, each in ((None, 4), ("test", 2)):
        kinds = [case.category for case in cases if case.split == split]
        assert kinds.count("healthy") == kinds.count("patient") == each
    assert {case.site for case in cases} == {"Northford", "Southwick"}
    assert {finding.rule for finding in judge(cases, layout.labels)} == {"label-empty"}, "the healthy have no lesion"


def test_lesions_lie_on_one_side_and_only_in_patients(people: Path):
    sides = set()
    for case in Table(people).cases():
        label = read_label(case.label)
        middle = label.array.shape[0] / 2
        places = np.argwhere(label.array)[:, 0] + 0.5
        if case.category == "healthy":
            assert places.size == 0
            continue
        sides.add(bool(places[0] > middle))
        assert np.all(places > middle) or np.all(places < middle)
        assert 5 < places.size * label.grid.voxel_volume_mm3 / 1000 < 110
        flair = read_image(case.images["flair"]).array
        assert np.median(flair[label.array > 0]) > 1.2 * np.median(flair[::-1][label.array > 0])
    assert sides == {True, False}


def test_a_larger_cohort_contains_the_smaller(people: Path, loaded_once: None, tmp_path: Path):
    table = make_sided_cohort(tmp_path, people=2, seed=3, spacing_mm=COARSE_MM)
    assert (people / "cases.csv").read_text().startswith(table.read_text())
    for name in ("person000_flair.nii.gz", "person001_t1.nii.gz", "person001_mask.nii.gz"):
        assert (tmp_path / name).read_bytes() == (people / name).read_bytes()
