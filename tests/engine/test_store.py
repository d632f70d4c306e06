"""Prepared cases are written once, found again, and never half."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_training import phantom, save

from lesionlab.core.case import Case
from lesionlab.core.errors import LabelError
from lesionlab.core.labels import LESION
from lesionlab.core.recipe import Preprocessing
from lesionlab.engine.content_key import content_key
from lesionlab.engine.preprocess import prepare
from lesionlab.engine.store import StoredCase, store_cases

BOTH = ("flair", "t1")


@pytest.fixture
def case(tmp_path: Path) -> Case:
    flair, t1, mask = phantom(0)
    images = {"flair": save(tmp_path / "flair.nii", flair), "t1": save(tmp_path / "t1.nii", t1)}
    return Case(id="a", images=images, label=save(tmp_path / "mask.nii", mask), group="p", site="Here")


def stored_of(case: Case, **settings: object) -> StoredCase:
    folder = case.images["flair"].parent / "store"
    (stored,) = store_cases(
        [case], folder, modalities=BOTH, settings=Preprocessing.model_validate(settings), labels=LESION
    )
    return stored


def state_of(stored: StoredCase) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in stored.folder.iterdir()}


def test_what_was_prepared_is_what_is_opened(case: Case):
    stored, prepared = stored_of(case), prepare(case, BOTH, settings=Preprocessing(), labels=LESION)
    np.testing.assert_array_equal(stored.image(), prepared.image)
    np.testing.assert_array_equal(stored.label(), prepared.label)
    assert stored.geometry == prepared.geometry
    assert stored.background == prepared.background
    assert (stored.id, stored.group, stored.site, stored.space_code) == ("a", "p", "Here", prepared.space_code)
    assert sorted(state_of(stored)) == ["case.json", "image.npy", "label.npy"]


def test_arrays_are_mapped_and_an_axial_slice_is_one_run_of_bytes(case: Case):
    stored = stored_of(case)
    for array in (stored.image(), stored.label()):
        assert isinstance(array, np.memmap)
        assert not array.flags.writeable
        assert array[..., 0].flags.f_contiguous


def test_the_second_call_does_no_work(case: Case):
    first = stored_of(case)
    before = state_of(first)
    assert stored_of(case) == first
    assert state_of(first) == before


@pytest.mark.parametrize("name", ["flair", "t1", "label"])
def test_one_changed_voxel_is_another_key(case: Case, name: str):
    first = stored_of(case)
    path = case.images.get(name, case.label)
    array = dict(zip(("flair", "t1", "label"), phantom(0), strict=True))[name]
    array[12, 12, 2] = 1 if array[12, 12, 2] == 0 else 0
    save(path, array)
    second = stored_of(case)
    assert second.folder != first.folder
    assert (first.folder / "case.json").exists()


def test_another_setting_is_another_key(case: Case):
    keys = {stored_of(case).folder, stored_of(case, percentiles=(1, 99)).folder, stored_of(replace(case)).folder}
    assert len(keys) == 2


def test_two_files_are_not_their_concatenation(tmp_path: Path):
    paths = [tmp_path / name for name in "abcd"]
    for path, data in zip(paths, (b"12", b"3", b"1", b"23"), strict=True):
        path.write_bytes(data)
    assert content_key(paths[:2], settings=0) != content_key(paths[2:], settings=0)
    assert content_key(paths[:2], settings=0) == content_key([*paths[:2], tmp_path / "none"], settings=0)


def test_an_interrupted_write_is_done_again(case: Case):
    stored = stored_of(case)
    expected = np.array(stored.image())
    (stored.folder / "case.json").unlink()
    (stored.folder / "image.npy").write_bytes(b"half")
    np.testing.assert_array_equal(stored_of(case).image(), expected)


def test_a_case_without_mask_is_refused_only_where_one_is_needed(case: Case):
    stored = stored_of(replace(case, label=None))
    assert stored.image().shape[0] == 2
    with pytest.raises(LabelError, match="case a"):
        stored.label()
