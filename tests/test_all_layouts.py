"""One contract for every registered layout. A new layout joins by one entry in tests/sample_datasets.py."""

import shutil
from pathlib import Path

import pytest
from sample_datasets import SAMPLES, Sample

import lesionlab.layouts  # noqa: F401  (registers them)
from lesionlab.core.case import Case
from lesionlab.core.errors import ImageError, LayoutError, NameUnknownError
from lesionlab.core.layout import Layout, layout
from lesionlab.core.natural_order import natural_key
from lesionlab.engine.case_files import read_scan


@pytest.fixture(params=sorted(SAMPLES))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def sample(name: str) -> Sample:
    return SAMPLES[name]


@pytest.fixture(params=[pytest.param(0, id="first-ending"), pytest.param(-1, id="last-ending")])
def dataset(name: str, sample: Sample, request: pytest.FixtureRequest, tmp_path: Path) -> Layout:
    folder = tmp_path / "Daten für Läsionen 1"
    sample.build(folder, sample.endings[request.param])
    return layout.build(name, folder=folder)


def cases_of(dataset: Layout) -> list[Case]:
    return list(dataset.cases())


def remove(path: Path) -> None:
    """Remove a file, or the folder of a DICOM series."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def files_under(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_layout_has_a_sample():
    assert sorted(SAMPLES) == [name for name in layout if layout.get(name).__module__.startswith("lesionlab.")]


def test_cases_are_complete(dataset: Layout):
    cases = cases_of(dataset)
    assert len(cases) >= 3
    assert len({case.id for case in cases}) == len(cases)
    for case in cases:
        assert tuple(case.images) == dataset.modalities
        assert case.label is not None
        assert all(path.exists() and dataset.folder in path.parents for path in case.files)
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


def test_a_case_may_lack_its_mask(dataset: Layout, sample: Sample):
    if not sample.has_own_masks:
        pytest.skip("images and masks share files")
    first, *others = cases_of(dataset)
    first.label.unlink()
    if sample.names_files:
        with pytest.raises(LayoutError, match=f"a mask for case '{first.id}'"):
            cases_of(dataset)
        return
    found = cases_of(dataset)
    assert found[0].id == first.id
    assert found[0].label is None
    assert found[1:] == others


@pytest.mark.parametrize("position", [0, -1])
def test_no_case_may_lack_a_modality(dataset: Layout, sample: Sample, position: int):
    case = cases_of(dataset)[position]
    modality = dataset.modalities[position]
    if modality in sample.may_lack or not sample.has_own_masks:
        pytest.skip("a case may lack it, or is gone with its only file")
    remove(case.images[modality])
    with pytest.raises(LayoutError, match=case.id) as caught:
        cases_of(dataset)
    assert modality in str(caught.value)
    assert caught.value.where == str(case.images[modality].parent)


def test_what_a_case_lacks_is_not_among_its_images(dataset: Layout, sample: Sample):
    if not sample.may_lack:
        pytest.skip("every case has every modality")
    first, *others = cases_of(dataset)
    for modality in sample.may_lack:
        away = first.images[modality].rename(dataset.folder.parent / "away")
        found = cases_of(dataset)
        assert found[0].id == first.id
        assert set(found[0].images) == set(first.images) - {modality}
        assert found[1:] == others
        away.rename(first.images[modality])


def test_two_files_for_one_image_are_refused(name: str, sample: Sample, tmp_path: Path):
    if sample.twins is None:
        pytest.skip("one name, one file")
    ending, other = sample.twins
    sample.build(tmp_path, ending)
    dataset = layout.build(name, folder=tmp_path)
    path = next(iter(cases_of(dataset)[0].images.values()))
    shutil.copy(path, path.with_name(path.name.removesuffix(ending) + other))
    with pytest.raises(LayoutError, match="one image"):
        cases_of(dataset)


def test_extra_and_hidden_files_are_left_alone(dataset: Layout):
    before = cases_of(dataset)
    folders = {path.parent for case in before for path in case.files} | {dataset.folder}
    for folder in folders:
        (folder / "notes.txt").write_text("nothing to see")
        (folder / ".DS_Store").write_bytes(b"\0")
        (folder / "figures").mkdir()
    for case in before:
        for path in case.files:
            (path.parent / f"._{path.name}").write_bytes(b"\0")
    assert cases_of(dataset) == before


def test_hidden_folders_are_left_alone(dataset: Layout):
    before = cases_of(dataset)
    top = {dataset.folder / path.relative_to(dataset.folder).parts[0] for case in before for path in case.files}
    for folder in (path for path in top if path.is_dir()):
        shutil.copytree(folder, dataset.folder / f".{folder.name}")
    assert cases_of(dataset) == before


def test_linked_files_count_and_broken_links_are_refused(dataset: Layout, name: str, tmp_path: Path):
    before = cases_of(dataset)
    target = tmp_path / "elsewhere"
    target.mkdir()
    files = dict.fromkeys(path for case in before for path in case.files)
    for number, path in enumerate(files):
        moved = path.rename(target / str(number))
        path.symlink_to(moved)
    assert cases_of(dataset) == before
    remove(target / "0")
    first = next(iter(before[0].images))
    if name == "dicom":  # whose series of one file is none any more
        assert all(first not in case.images for case in cases_of(dataset) if case.id == before[0].id)
        return
    (case,) = (case for case in cases_of(dataset) if case.id == before[0].id)
    with pytest.raises(ImageError, match="which does not exist"):
        read_scan(case, first)


def test_a_linked_dataset_is_read(name: str, sample: Sample, tmp_path: Path):
    sample.build(tmp_path / "real", sample.endings[-1])
    (tmp_path / "link").mkdir()
    for path in (tmp_path / "real").iterdir():
        (tmp_path / "link" / path.name).symlink_to(path)
    linked = cases_of(layout.build(name, folder=tmp_path / "link"))
    assert [case.id for case in linked] == [case.id for case in cases_of(layout.build(name, folder=tmp_path / "real"))]


def test_a_read_only_dataset_is_read_and_nothing_is_written(dataset: Layout):
    paths = [dataset.folder, *dataset.folder.rglob("*")]
    before, content = cases_of(dataset), files_under(dataset.folder)
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert cases_of(layout.build(name_of(dataset), folder=dataset.folder)) == before
    finally:
        for path in paths:
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert files_under(dataset.folder) == content


def name_of(dataset: Layout) -> str:
    return next(name for name in layout if layout.get(name) is type(dataset))


def test_an_empty_folder_is_refused(name: str, tmp_path: Path):
    with pytest.raises(LayoutError, match="an empty folder") as caught:
        cases_of(layout.build(name, folder=tmp_path))
    assert caught.value.where == str(tmp_path)


def test_another_folder_is_refused_and_described(name: str, tmp_path: Path):
    for number in range(9):
        (tmp_path / f"letter-{number}" / "pages").mkdir(parents=True)
        (tmp_path / f"letter-{number}" / "pages" / "1.txt").write_text("Dear colleague")
    with pytest.raises(LayoutError, match=r"letter-0, letter-1, .* and 3 more") as caught:
        cases_of(layout.build(name, folder=tmp_path))
    assert "list layouts" in caught.value.next_step


@pytest.mark.parametrize("other", sorted(SAMPLES))
def test_no_layout_takes_another_for_its_own(name: str, other: str, tmp_path: Path):
    SAMPLES[other].build(tmp_path, SAMPLES[other].endings[-1])
    if name == other or other in SAMPLES[name].also_takes:
        assert cases_of(layout.build(name, folder=tmp_path))
    else:
        with pytest.raises(LayoutError):
            cases_of(layout.build(name, folder=tmp_path))


def test_a_missing_folder_and_a_file_are_refused(name: str, tmp_path: Path):
    with pytest.raises(LayoutError, match="no such folder"):
        cases_of(layout.build(name, folder=tmp_path / "nowhere"))
    (tmp_path / "file").write_text("text")
    with pytest.raises(LayoutError, match="a file, not a folder"):
        cases_of(layout.build(name, folder=tmp_path / "file"))


def test_an_unknown_layout_is_refused_with_the_nearest_name():
    with pytest.raises(NameUnknownError, match="wmh2017"):
        layout.get("wmh2071")


@pytest.mark.parametrize(("word", "split"), [("test", "test"), ("Validation", "validation"), ("TRAIN", "training")])
@pytest.mark.parametrize("name", ["wmh2017", "isles2022", "atlas_r1", "atlas_r2", "brain_mets", "dicom"])
def test_a_folder_named_as_a_split_gives_it(name: str, word: str, split: str, tmp_path: Path):
    """Otherwise a folder of test cases would be learned from."""
    sample = SAMPLES[name]
    sample.build(tmp_path / "built", sample.endings[0])
    shown = tmp_path / "data" / word
    shown.parent.mkdir()
    (tmp_path / "built").rename(shown)
    for own in ("training", "test", "Training", "Testing"):
        if (shown / own).is_dir():
            for folder in (shown / own).iterdir():
                folder.rename(shown / folder.name)
            (shown / own).rmdir()
    assert {case.split for case in layout.build(name, folder=tmp_path / "data").cases()} == {split}
