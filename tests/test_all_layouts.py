"""One contract for every registered layout. A new layout joins by one builder function in `BUILDERS`."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel
import numpy as np
import pytest

import lesionlab.layouts  # noqa: F401  (registers them)
from lesionlab.core.case import Case
from lesionlab.core.errors import LayoutError, NameUnknownError
from lesionlab.core.layout import Layout, layout
from lesionlab.layouts.image_files import natural_key


def write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4)), path)


def build_wmh2017(folder: Path, ending: str) -> None:
    for case in ("training/Utrecht/2", "training/Utrecht/10", "test/Amsterdam/GE3T/100"):
        for name in ("pre/FLAIR", "pre/T1", "wmh"):
            write(folder / case / (name + ending))


def build_wmh_split(folder: Path, ending: str) -> None:
    for part, case in (("train/training", "2"), ("train/validation", "10"), ("test/train", "100")):
        for name, modality in (("flair", "flair"), ("t1", "t1"), ("Ground Truth", "wmh")):
            write(folder / part / name / f"{case}_{modality}{ending}")


BUILDERS: dict[str, Callable[[Path, str], None]] = {"wmh2017": build_wmh2017, "wmh_split": build_wmh_split}
"""Layout name -> function that writes a complete dataset of at least three cases into a folder."""


@pytest.fixture(params=sorted(BUILDERS))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=[".nii", ".nii.gz"])
def dataset(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> Layout:
    folder = tmp_path / "Daten für Läsionen 1"
    BUILDERS[name](folder, request.param)
    return layout.build(name, folder=folder)


def cases_of(dataset: Layout) -> list[Case]:
    return list(dataset.cases())


def files_of(case: Case) -> Iterator[Path]:
    yield from case.images.values()
    if case.label is not None:
        yield case.label


def test_every_layout_has_a_builder():
    assert sorted(BUILDERS) == [name for name in layout if layout.get(name).__module__.startswith("lesionlab.")]


def test_cases_are_complete(dataset: Layout):
    cases = cases_of(dataset)
    assert len(cases) >= 3
    assert len({case.id for case in cases}) == len(cases)
    for case in cases:
        assert tuple(case.images) == dataset.modalities
        assert case.label is not None
        assert all(path.is_file() and dataset.folder in path.parents for path in files_of(case))
        assert not set(case.id) & set("/\\"), "an id names output files"
        assert case.group
        assert case.split in ("training", "validation", "test", None)


def test_cases_come_in_natural_order_every_time(dataset: Layout):
    ids = [case.id for case in cases_of(dataset)]
    assert ids == [case.id for case in cases_of(dataset)]
    assert ids == sorted(ids, key=natural_key)


def test_description(dataset: Layout):
    assert dataset.labels.regions
    assert len(dataset.citation) > 20
    assert type(dataset).__doc__


def test_a_case_may_lack_its_mask(dataset: Layout):
    first, *others = cases_of(dataset)
    first.label.unlink()
    found = cases_of(dataset)
    assert found[0].id == first.id
    assert found[0].label is None
    assert found[1:] == others


@pytest.mark.parametrize("position", [0, -1])
def test_no_case_may_lack_a_modality(dataset: Layout, position: int):
    case = cases_of(dataset)[position]
    modality = dataset.modalities[position]
    case.images[modality].unlink()
    with pytest.raises(LayoutError, match=case.id) as caught:
        cases_of(dataset)
    assert modality in str(caught.value)
    assert caught.value.where == str(case.images[modality].parent)


def test_two_files_for_one_image_are_refused(dataset: Layout):
    path = next(iter(cases_of(dataset)[0].images.values()))
    twin = path.with_suffix("") if path.name.endswith(".gz") else path.with_name(path.name + ".gz")
    shutil.copy(path, twin)
    with pytest.raises(LayoutError, match="one image"):
        cases_of(dataset)


def test_extra_and_hidden_files_are_left_alone(dataset: Layout):
    before = cases_of(dataset)
    folders = {path.parent for case in before for path in files_of(case)} | {dataset.folder}
    for folder in folders:
        (folder / "notes.txt").write_text("nothing to see")
        (folder / ".DS_Store").write_bytes(b"\0")
        (folder / "figures").mkdir()
    for case in before:
        for path in files_of(case):
            (path.parent / f"._{path.name}").write_bytes(b"\0")
    assert cases_of(dataset) == before


def test_hidden_folders_are_left_alone(dataset: Layout):
    before = cases_of(dataset)
    top = {dataset.folder / path.relative_to(dataset.folder).parts[0] for case in before for path in files_of(case)}
    for folder in top:
        shutil.copytree(folder, dataset.folder / f".{folder.name}")
    assert cases_of(dataset) == before


def test_linked_files_count_and_broken_links_do_not(dataset: Layout, tmp_path: Path):
    before = cases_of(dataset)
    target = tmp_path / "elsewhere"
    target.mkdir()
    for number, path in enumerate(path for case in before for path in files_of(case)):
        moved = path.rename(target / str(number))
        path.symlink_to(moved)
    assert cases_of(dataset) == before
    Path(target / "0").unlink()
    with pytest.raises(LayoutError, match=before[0].id):
        cases_of(dataset)


def test_a_linked_dataset_is_read(name: str, tmp_path: Path):
    BUILDERS[name](tmp_path / "real", ".nii.gz")
    (tmp_path / "link").mkdir()
    for folder in (tmp_path / "real").iterdir():
        (tmp_path / "link" / folder.name).symlink_to(folder)
    linked = cases_of(layout.build(name, folder=tmp_path / "link"))
    assert [case.id for case in linked] == [case.id for case in cases_of(layout.build(name, folder=tmp_path / "real"))]


def test_an_empty_folder_is_refused(name: str, tmp_path: Path):
    with pytest.raises(LayoutError, match="an empty folder") as caught:
        cases_of(layout.build(name, folder=tmp_path))
    assert caught.value.where == str(tmp_path)


def test_another_folder_is_refused_and_described(name: str, tmp_path: Path):
    for number in range(9):
        write(tmp_path / f"sub-{number}" / "anat" / f"sub-{number}_FLAIR.nii.gz")
    with pytest.raises(LayoutError, match=r"sub-0, sub-1, .* and 3 more") as caught:
        cases_of(layout.build(name, folder=tmp_path))
    assert "list layouts" in caught.value.next_step


@pytest.mark.parametrize("other", sorted(BUILDERS))
def test_no_layout_takes_another_for_its_own(name: str, other: str, tmp_path: Path):
    BUILDERS[other](tmp_path, ".nii.gz")
    dataset = layout.build(name, folder=tmp_path)
    if name == other:
        assert cases_of(dataset)
    else:
        with pytest.raises(LayoutError):
            cases_of(dataset)


def test_a_missing_folder_and_a_file_are_refused(name: str, tmp_path: Path):
    with pytest.raises(LayoutError, match="no such folder"):
        cases_of(layout.build(name, folder=tmp_path / "nowhere"))
    (tmp_path / "file").write_text("text")
    with pytest.raises(LayoutError, match="a file, not a folder"):
        cases_of(layout.build(name, folder=tmp_path / "file"))


def test_an_unknown_layout_is_refused_with_the_nearest_name():
    with pytest.raises(NameUnknownError, match="wmh2017"):
        layout.get("wmh2071")
