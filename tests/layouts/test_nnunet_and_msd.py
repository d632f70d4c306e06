"""What is special to nnU-Net's raw folders and the Decathlon's; the rest is in tests/test_all_layouts.py."""

import json
from pathlib import Path
from typing import Any

import pytest
from sample_datasets import write_picture

from lesionlab.core.errors import LayoutError, SplitError
from lesionlab.layouts import Msd, NnunetRaw

SECOND = {"channel_names": {"0": "FLAIR"}, "labels": {"background": 0, "lesion": 1}, "file_ending": ".nii.gz"}


def describe(folder: Path, **content: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps(content))


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_regions_and_what_is_ignored(tmp_path: Path):
    labels = {"background": 0, "whole tumor": [1, 2, 3], "tumor core": [2, 3], "ET": 3, "ignore": 4}
    describe(tmp_path, **{**SECOND, "labels": labels, "regions_class_order": [1, 2, 3]})
    labels = NnunetRaw(tmp_path).labels
    assert labels.regions == {"whole_tumor": {1, 2, 3}, "tumor_core": {2, 3}, "ET": {3}}
    assert labels.ignored == {4}


def test_regions_may_be_said_beside_the_description(tmp_path: Path):
    describe(tmp_path, channel_names={"0": "FLAIR"}, labels={"background": 0, "edema": 1, "core": 2, "enhancing": 3})
    (tmp_path / "lesionlab.toml").write_text("regions = { WT = [1, 2, 3], TC = [2, 3], ET = [3] }")
    assert NnunetRaw(tmp_path).labels.regions == {"WT": {1, 2, 3}, "TC": {2, 3}, "ET": {3}}


def test_version_1(tmp_path: Path):
    described = {"modality": {"0": "T1", "1": "t2-FLAIR", "10": "CT"}, "labels": {"0": "background", "1": "liver"}}
    pair = {"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}
    describe(tmp_path, **described, training=[pair], test=[])
    touch(tmp_path, "imagesTr/a_0000.nii.gz", "imagesTr/a_0001.nii.gz", "imagesTr/a_0002.nii.gz", "labelsTr/a.nii.gz")
    dataset = NnunetRaw(tmp_path)
    (case,) = dataset.cases()
    assert dataset.modalities == ("t1", "flair", "ct")
    assert dataset.labels.regions == {"liver": {1}}
    assert case.images["ct"].name == "a_0002.nii.gz"
    with pytest.raises(LayoutError, match=r"as dataset\.json has it"):
        list(Msd(tmp_path).cases())


def test_channels_of_one_name_are_numbered(tmp_path: Path):
    describe(tmp_path, **{**SECOND, "channel_names": {"0": "MRI", "1": "MRI"}})
    assert NnunetRaw(tmp_path).modalities == ("mri_0", "mri_1")


def test_folds_give_the_split(tmp_path: Path):
    describe(tmp_path, **SECOND)
    touch(tmp_path, *(f"imagesTr/{name}_0000.nii.gz" for name in "abc"), "imagesTs/d_0000.nii.gz")
    folds = [{"train": ["b", "c"], "val": ["a"]}, {"train": ["a", "b"], "val": ["c"]}]
    (tmp_path / "splits_final.json").write_text(json.dumps(folds))
    splits = [case.split for case in NnunetRaw(tmp_path).cases()]
    assert splits == ["validation", "training", "training", "test"]
    (tmp_path / "lesionlab.toml").write_text("fold = 1")
    splits = [case.split for case in NnunetRaw(tmp_path).cases()]
    assert splits == ["training", "training", "validation", "test"]
    (tmp_path / "lesionlab.toml").write_text("fold = 2")
    with pytest.raises(LayoutError, match="at least 3"):
        list(NnunetRaw(tmp_path).cases())


@pytest.fixture
def five(tmp_path: Path) -> Path:
    """Cases a to d to learn from and t to test."""
    describe(tmp_path, **SECOND)
    touch(tmp_path, *(f"imagesTr/{name}_0000.nii.gz" for name in "abcd"), "imagesTs/t_0000.nii.gz")
    return tmp_path


@pytest.mark.parametrize("cells", ["a,\nb,\nt,\n", "a,training\nt,\n", "a,training\nt,test\nz,test\n"])
def test_an_empty_cell_says_nothing(five: Path, cells: str):
    (five / "cases.csv").write_text("id,split\n" + cells)
    (five / "splits_final.json").write_text(json.dumps([{"train": ["a", "b"], "val": ["c"]}]))
    found = {case.id: (case.split, case.split_by_fold) for case in NnunetRaw(five).cases()}
    assert found == {
        "a": ("training", True),
        "b": ("training", True),
        "c": ("validation", True),
        "d": (None, True),  # not in the fold: not learned from
        "t": ("test", False),
    }


@pytest.mark.parametrize(("cell", "split"), [("validation", "validation"), ("test", "test"), ("sealed", "test")])
def test_a_table_sets_cases_aside(five: Path, cell: str, split: str):
    (five / "cases.csv").write_text(f"id,split\na,{cell}\n")
    first, second, *_ = NnunetRaw(five).cases()
    assert (first.split, first.is_sealed, second.split) == (split, cell == "sealed", "training")


@pytest.mark.parametrize(
    ("cells", "fold", "said"),
    [
        ("t,training\n", None, "test by imagesTs but training by cases.csv: t"),
        ("t,validation\n", None, "test by imagesTs but validation by cases.csv: t"),
        ("a,test\n", {"train": ["a", "b"], "val": ["c"]}, "test by cases.csv but training by splits_final.json: a"),
        (
            "c,sealed\n",
            {"train": ["a", "b"], "val": ["c"]},
            "sealed by cases.csv but validation by splits_final.json: c",
        ),
        ("", {"train": ["a", "t"], "val": ["c"]}, "test by imagesTs but training by splits_final.json: t"),
    ],
)
def test_what_is_set_aside_is_not_taken_back(five: Path, cells: str, fold: dict[str, list[str]] | None, said: str):
    (five / "cases.csv").write_text("id,split\n" + cells)
    if fold:
        (five / "splits_final.json").write_text(json.dumps([fold]))
    with pytest.raises(SplitError) as caught:
        list(NnunetRaw(five).cases())
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("fold", "options", "said"),
    [
        ({"train": ["a.nii.gz", "b"], "val": ["c"]}, "", "1 others in fold 0: a.nii.gz"),
        ({"train": ["a_0000", "b_0000"], "val": ["c"]}, "", "2 others in fold 0: a_0000, b_0000"),
        ({"train": ["a", "b"], "val": ["b", "c"]}, "", "twice: b"),
        ({"train": ["a", "b"], "val": []}, "", "2 and 0"),
        ({"train": [], "val": ["a"]}, "", "0 and 1"),
        ({"train": ["a", "b"], "val": ["c"]}, "fold = 1", "at least 2"),
        ({"train": ["a", "b"], "val": ["c"]}, "fold = -1", "greater than or equal to 0"),
        (None, "fold = 0", "take fold out of it"),
    ],
)
def test_folds_that_are_none_are_refused(five: Path, fold: dict[str, list[str]] | None, options: str, said: str):
    (five / "lesionlab.toml").write_text(options)
    if fold:
        (five / "splits_final.json").write_text(json.dumps([fold]))
    with pytest.raises(LayoutError) as caught:
        list(NnunetRaw(five).cases())
    assert said in str(caught.value)


def test_what_nnunet_has_no_place_for(tmp_path: Path):
    describe(tmp_path, **SECOND)
    touch(tmp_path, "imagesTr/a_0000.nii.gz", "imagesTr/b_0000.nii.gz")
    (tmp_path / "cases.csv").write_text("id,group,site,split,category\na,anna,Ulm,validation,ms\n")
    first, second = NnunetRaw(tmp_path).cases()
    assert (first.group, first.site, first.split, first.category) == ("anna", "Ulm", "validation", "ms")
    assert (second.group, second.site, second.split, second.category) == ("b", "", "training", None)


def test_coloured_pictures_hold_all_channels(tmp_path: Path):
    describe(tmp_path, **{**SECOND, "channel_names": {"0": "R", "1": "G", "2": "B"}, "file_ending": ".png"})
    write_picture(tmp_path / "imagesTr" / "road_1_0000.png")
    write_picture(tmp_path / "labelsTr" / "road_1.png", mode="L")
    (case,) = NnunetRaw(tmp_path).cases()
    assert case.parts == {"red": "0", "green": "1", "blue": "2"}
    assert {path.name for path in case.images.values()} == {"road_1_0000.png"}
    assert case.label.name == "road_1.png"


def test_a_mask_without_an_image_is_refused(tmp_path: Path):
    describe(tmp_path, **SECOND)
    touch(tmp_path, "imagesTr/a_0000.nii.gz", "labelsTr/b.nii.gz")
    with pytest.raises(LayoutError, match="case 'b', b_0000"):
        list(NnunetRaw(tmp_path).cases())


@pytest.mark.parametrize(
    "content",
    ["{", "[]", '{"labels": {"background": 0, "lesion": 1}}', '{"channel_names": {"0": "CT"}, "labels": {"b": 0}}'],
)
def test_a_damaged_description_is_refused(tmp_path: Path, content: str):
    (tmp_path / "dataset.json").write_text(content)
    for layout in (NnunetRaw, Msd):
        with pytest.raises(LayoutError, match="channel_names") as caught:
            layout(tmp_path)
        assert caught.value.where == str(tmp_path / "dataset.json")


def test_msd_images_of_several_modalities_have_numbered_volumes(tmp_path: Path):
    labels = {"0": "background", "1": "edema", "2": "non-enhancing tumor"}
    pair = {"image": "./imagesTr/BRATS_001.nii.gz", "label": "./labelsTr/BRATS_001.nii.gz"}
    modality = {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"}
    describe(tmp_path, modality=modality, labels=labels, training=[pair], test=["./imagesTs/BRATS_002.nii.gz"])
    touch(tmp_path, "imagesTr/BRATS_001.nii.gz", "labelsTr/BRATS_001.nii.gz", "imagesTs/BRATS_002.nii.gz")
    dataset = Msd(tmp_path)
    first, second = dataset.cases()
    assert dataset.modalities == ("flair", "t1", "t1ce", "t2")
    assert list(dataset.labels.regions) == ["edema", "non_enhancing_tumor"]
    assert first.parts == {"flair": "0", "t1": "1", "t1ce": "2", "t2": "3"}
    assert (first.split, second.split, second.label) == ("training", "test", None)


def test_a_table_of_files_in_dataset_json(tmp_path: Path):
    """nnU-Net lets images lie anywhere; the file is in UTF-16, as some editors store it."""
    for name in ("scans/a_flair.nii.gz", "scans/a_t1.nii.gz", "masks/a.nii.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    described = {
        "channel_names": {"0": "FLAIR", "1": "T1"},
        "labels": {"background": 0, "lesion": 1},
        "file_ending": ".nii.gz",
        "dataset": {"a": {"images": ["scans/a_flair.nii.gz", "scans/a_t1.nii.gz"], "label": "masks/a.nii.gz"}},
    }
    (tmp_path / "dataset.json").write_text(json.dumps(described), encoding="utf-16")
    (case,) = NnunetRaw(tmp_path).cases()
    assert (case.id, case.split, case.label) == ("a", "training", tmp_path / "masks/a.nii.gz")
    assert case.images == {"flair": tmp_path / "scans/a_flair.nii.gz", "t1": tmp_path / "scans/a_t1.nii.gz"}
    described["dataset"]["a"]["images"].pop()
    (tmp_path / "dataset.json").write_text(json.dumps(described))
    with pytest.raises(LayoutError, match=r"2 images \(flair, t1\)"):
        list(NnunetRaw(tmp_path).cases())


@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".NII.GZ", ".hdr"])
def test_volumes_of_any_format_are_found(tmp_path: Path, ending: str):
    for name in ("imagesTr/a_0000", "labelsTr/a"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / (name + ending)).touch()
    described = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "lesion": 1}, "file_ending": ending}
    (tmp_path / "dataset.json").write_text(json.dumps(described))
    (case,) = NnunetRaw(tmp_path).cases()
    assert (case.images["ct"].name, case.label.name) == (f"a_0000{ending}", f"a{ending}")


def test_an_ending_that_is_not_read_is_refused(tmp_path: Path):
    described = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "lesion": 1}, "file_ending": ".b2nd"}
    (tmp_path / "dataset.json").write_text(json.dumps(described))
    with pytest.raises(LayoutError, match=r"a file_ending that is read"):
        NnunetRaw(tmp_path)
