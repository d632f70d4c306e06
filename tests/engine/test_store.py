"""Prepared cases are written once, found again, and never half."""

import os
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tiny_training import phantom, save

from lesionlab.core.case import Case
from lesionlab.core.content_key import content_key
from lesionlab.core.errors import CasesError, LabelError, StorageError
from lesionlab.core.labels import LESION, Labels
from lesionlab.core.recipe import Preprocessing
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


def test_exchanged_modalities_are_another_key(case: Case):
    """As when channel names, or two columns of a table, are corrected; the files stay where they are."""
    first = stored_of(case)
    second = stored_of(replace(case, images={"t1": case.images["flair"], "flair": case.images["t1"]}))
    assert second.folder != first.folder
    np.testing.assert_array_equal(second.image(), first.image()[::-1])


def test_undeclared_values_are_refused_whatever_the_store_holds(case: Case, tmp_path: Path):
    mask = phantom(0)[2]
    mask[12, 12, 2] = 7
    save(case.label, mask)
    more = Labels(regions={"lesion": frozenset({1}), "other": frozenset({7})})
    (stored,) = store_cases([case], tmp_path / "store", modalities=BOTH, settings=Preprocessing(), labels=more)
    assert 7 in stored.label()
    with pytest.raises(CasesError, match=r"case a: .*7"):
        stored_of(case)


def test_two_files_are_not_their_concatenation(tmp_path: Path):
    paths = [tmp_path / name for name in "abcd"]
    for path, data in zip(paths, (b"12", b"3", b"1", b"23"), strict=True):
        path.write_bytes(data)
    assert content_key(paths[:2], settings=0) != content_key(paths[2:], settings=0)


def test_an_interrupted_write_is_done_again(case: Case):
    stored = stored_of(case)
    expected = np.array(stored.image())
    (stored.folder / "case.json").unlink()
    (stored.folder / "image.npy").write_bytes(b"half")
    np.testing.assert_array_equal(stored_of(case).image(), expected)


DAMAGES = {
    "cut off": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "empty": lambda file: file.write_bytes(b""),
    "zeros": lambda file: file.write_bytes(bytes(file.stat().st_size)),
    "gone": lambda file: file.unlink(),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
    "other": lambda file: (
        np.save(file, np.zeros((2, 3), np.float32)) if file.suffix == ".npy" else file.write_text('{"geometry": 1}')
    ),
}


@pytest.mark.parametrize("name", ["case.json", "image.npy", "label.npy"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_case_is_made_again(case: Case, name: str, damage: str, caplog: pytest.LogCaptureFixture):
    stored = stored_of(case)
    arrays = np.array(stored.image()), np.array(stored.label())
    DAMAGES[damage](stored.folder / name)
    if damage == "a folder":
        with pytest.raises(StorageError, match=name):
            stored_of(case)
        return
    again = stored_of(case)
    assert again == stored
    np.testing.assert_array_equal(again.image(), arrays[0])
    np.testing.assert_array_equal(again.label(), arrays[1])
    is_told = (name, damage) != ("case.json", "gone")
    assert sum("is damaged" in record.message for record in caplog.records) == is_told


def test_a_case_without_mask_is_refused_only_where_one_is_needed(case: Case):
    stored = stored_of(replace(case, label=None))
    assert stored.image().shape[0] == 2
    with pytest.raises(LabelError, match="case a"):
        stored.label()


def many(folder: Path, count: int) -> list[Case]:
    cases = []
    for number in range(count):
        flair, t1, mask = phantom(number)
        images = {"flair": save(folder / f"{number}f.nii.gz", flair), "t1": save(folder / f"{number}t.nii.gz", t1)}
        label = save(folder / f"{number}m.nii.gz", mask)
        cases.append(Case(id=str(number), images=images, label=label, group=str(number)))
    return cases


def test_the_store_of_many_at_once_is_that_of_one_after_the_other(tmp_path: Path):
    cases, settings = many(tmp_path, 6), Preprocessing(spacing_mm=(1.0, 1.0, 2.0))
    stores = [
        store_cases(cases, tmp_path / str(at_once), modalities=BOTH, settings=settings, labels=LESION, at_once=at_once)
        for at_once in (1, 4)
    ]
    assert [stored.id for stored in stores[1]] == [case.id for case in cases]
    for one, many_at_once in zip(*stores, strict=True):
        assert one.folder.name == many_at_once.folder.name
        for path in one.folder.iterdir():
            assert path.read_bytes() == (many_at_once.folder / path.name).read_bytes()


@pytest.mark.parametrize(("bad", "at_once"), [((2,), 1), ((1, 2), 3), ((0, 1, 2, 3), 1)])
def test_all_bad_cases_are_named_together_and_the_others_are_stored(tmp_path: Path, bad: tuple[int, ...], at_once: int):
    """Whichever case is the largest."""
    cases = many(tmp_path, 4)
    for number in bad:
        cases[number].images["t1"].write_bytes(b"no image" if number % 2 else bytes(10**6))
    with pytest.raises(CasesError) as caught:
        store_cases(
            cases, tmp_path / "store", modalities=BOTH, settings=Preprocessing(), labels=LESION, at_once=at_once
        )
    assert f"{len(bad)} of 4 that cannot" in caught.value.found
    for number in range(4):
        assert (f"{number}t.nii.gz" in caught.value.found) == (f"case {number}: " in caught.value.found)
        assert (f"case {number}: " in caught.value.found) == (number in bad)
    stored = {file.parent.name.split("-")[0] for file in (tmp_path / "store").glob("*/case.json")}
    assert stored == {str(number) for number in range(4) if number not in bad}


def test_an_unforeseen_error_of_a_case_is_that_of_the_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail_on_one(case: Case, *arguments: object, **options: object) -> object:
        if case.id == "1":
            raise ZeroDivisionError("division by zero")
        return prepare(case, *arguments, **options)

    monkeypatch.setattr("lesionlab.engine.store.prepare", fail_on_one)
    with pytest.raises(CasesError, match="1 of 3 that cannot: case 1: unexpected ZeroDivisionError: division by zero"):
        store_cases(many(tmp_path, 3), tmp_path, modalities=BOTH, settings=Preprocessing(), labels=LESION)


def test_no_cases_are_an_empty_store(tmp_path: Path):
    assert store_cases([], tmp_path, modalities=BOTH, settings=Preprocessing(), labels=LESION) == ()


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read as Linux tells it")
def test_two_hundred_cases_take_the_memory_of_a_few(tmp_path: Path):
    """Each has 4 MB of voxels, so that keeping only a tenth of them would show."""
    cases = []
    for number in range(200):
        arrays = (np.kron(array, np.ones((3, 3, 8), array.dtype)) for array in phantom(number))
        flair, t1, mask = (
            save(tmp_path / f"{number}{name}.nii", array) for name, array in zip("ftm", arrays, strict=True)
        )
        cases.append(Case(id=str(number), images={"flair": flair, "t1": t1}, label=mask, group=str(number)))
    settings, found, is_over = Preprocessing(spacing_mm=(1.0, 1.0, 2.0)), [], threading.Event()

    def watch() -> None:
        while not is_over.wait(0.01):
            found.append(resident_mb())

    watcher = threading.Thread(target=watch)
    store = partial(store_cases, modalities=BOTH, settings=settings, labels=LESION, at_once=2)
    store(cases[:4], tmp_path / "first")
    watcher.start()
    store(cases, tmp_path / "store")
    is_over.set()
    watcher.join()
    quarter = len(found) // 4
    first, last = float(np.mean(found[:quarter])), float(np.mean(found[-quarter:]))
    assert quarter > 20
    assert last < 1.1 * first, f"{first:.0f} MB became {last:.0f} MB"
