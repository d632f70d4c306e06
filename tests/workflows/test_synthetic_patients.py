"""Synthetic patients are sound, plausible, reproducible, and made without a network."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cc3d
import numpy as np
import pytest

from lesionlab.core.layout import layout
from lesionlab.engine.images import read_image, read_label
from lesionlab.layouts import Wmh2017
from lesionlab.workflows import synthetic_patients
from lesionlab.workflows.check import judge
from lesionlab.workflows.synthetic_patients import SITES, Anatomy, Patient, draw_patient, load_anatomy, make_cohort

COARSE_MM = (3.0, 3.0, 6.0)


@pytest.fixture(scope="module")
def anatomy() -> Anatomy:
    def refuse(self: socket.socket, address: object) -> None:
        raise AssertionError(f"a connection to {address}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        return load_anatomy()


@pytest.fixture(scope="module")
def patient(anatomy: Anatomy) -> Patient:
    return draw_patient(anatomy, np.random.default_rng([0, 2]), site=SITES[0], spacing_mm=(1.25, 1.25, 4.0))


@pytest.fixture(scope="module")
def loaded_once(anatomy: Anatomy) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic_patients, "load_anatomy", lambda: anatomy)
        yield


@pytest.fixture(scope="module")
def cohort(loaded_once: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    make_cohort(folder, patients=12, seed=0, spacing_mm=COARSE_MM)
    return folder


def test_the_layout_finds_every_patient(cohort: Path):
    cases = list(Wmh2017(cohort).cases())
    assert len(cases) == 12
    for split, count in (("training", 6), ("validation", 2), ("test", 4)):
        sites = [case.site for case in cases if case.split == split]
        assert len(sites) == count
        assert sites.count("Northford") == count / 2, "both sites are in every part"


def test_check_finds_nothing(cohort: Path):
    dataset = layout.build("wmh2017", folder=cohort)
    assert judge(dataset.cases(), dataset.labels) == ()


def test_other_pathology_occurs(cohort: Path):
    labels = [read_label(case.label).array for case in Wmh2017(cohort).cases()]
    with_other = sum((label == 2).any() for label in labels)
    assert 0 < with_other < len(labels)


def test_the_same_seed_gives_the_same_bytes(cohort: Path, tmp_path: Path):
    again = make_cohort(tmp_path / "again", patients=1, seed=0, spacing_mm=COARSE_MM)[0]
    other = make_cohort(tmp_path / "other", patients=1, seed=1, spacing_mm=COARSE_MM)[0]
    first = cohort / "training" / "Northford" / "0"
    for name in ("pre/FLAIR.nii.gz", "pre/T1.nii.gz", "wmh.nii.gz"):
        assert (again / name).read_bytes() == (first / name).read_bytes()
        assert (other / name).read_bytes() != (first / name).read_bytes()


def test_grid_has_the_spacing_asked_for(cohort: Path):
    image = read_image(cohort / "training" / "Northford" / "0" / "pre" / "FLAIR.nii.gz")
    assert image.grid.spacing_mm == COARSE_MM
    assert image.array.shape == (57, 70, 24)


def test_lesions_are_plausible(patient: Patient):
    lesion = patient.label == 1
    voxel_ml = patient.grid.voxel_volume_mm3 / 1000
    assert 1 < lesion.sum() * voxel_ml < 32
    sizes_ml = np.bincount(cc3d.connected_components(lesion.astype(np.uint8), connectivity=26).ravel())[1:] * voxel_ml
    assert 10 < len(sizes_ml) < 200
    assert np.median(sizes_ml) < 0.2
    assert sizes_ml.max() > 0.5


def test_contrasts_are_those_of_flair_and_t1(anatomy: Anatomy):
    for site in SITES:
        patient = draw_patient(anatomy, np.random.default_rng([0, 6]), site=site, spacing_mm=COARSE_MM)
        lesion = patient.label == 1
        brain = np.zeros_like(lesion)
        brain[15:42, 12:58, 6:20] = True
        around = brain & (patient.label == 0)
        assert np.median(patient.flair[lesion]) > 1.3 * np.median(patient.flair[around])
        assert np.median(patient.t1[lesion]) < np.median(patient.t1[around]) * 1.05
        infarct = patient.label == 2
        assert infarct.any()
        assert np.median(patient.flair[infarct]) < np.median(patient.flair[around])


def test_a_missing_extra_is_named():
    code = (
        "import sys; sys.modules['nilearn'] = None\n"
        "from lesionlab.core.errors import OptionError\n"
        "from lesionlab.workflows.synthetic_patients import load_anatomy\n"
        "try:\n    load_anatomy()\n"
        "except OptionError as error:\n    assert \"pip install 'lesionlab[demo]'\" in str(error)\n"
        "else:\n    raise SystemExit('no refusal')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
