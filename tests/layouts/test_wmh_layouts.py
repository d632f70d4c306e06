"""What is special to the two layouts of the WMH challenge; the rest is in tests/test_all_layouts.py."""

from pathlib import Path

import pytest
from sample_datasets import touch

from lesionlab.core.errors import LayoutError
from lesionlab.core.natural_order import natural_key
from lesionlab.layouts import Wmh2017, WmhSplit
from lesionlab.layouts.image_files import describe, list_image_stems


def touch_case(folder: Path, case: str) -> None:
    touch(folder / case, "pre/FLAIR.nii.gz", "pre/T1.nii.gz", "wmh.nii.gz", "orig/FLAIR.nii.gz")


def test_wmh2017_names_site_scanner_and_split(tmp_path: Path):
    touch_case(tmp_path, "training/Utrecht/0")
    touch_case(tmp_path, "training/Amsterdam/GE3T/100")
    touch_case(tmp_path, "test/Utrecht/1")
    touch_case(tmp_path, "validation/Utrecht/2")
    found = [(case.id, case.site, case.split) for case in Wmh2017(tmp_path).cases()]
    assert found == [
        ("Amsterdam_GE3T_100", "Amsterdam/GE3T", "training"),
        ("Utrecht_0", "Utrecht", "training"),
        ("Utrecht_1", "Utrecht", "test"),
        ("Utrecht_2", "Utrecht", "validation"),
    ]


def test_wmh2017_without_parts_has_no_split(tmp_path: Path):
    touch_case(tmp_path, "Utrecht/0")
    touch_case(tmp_path, "Amsterdam/GE3T/100")
    cases = list(Wmh2017(tmp_path).cases())
    assert [(case.id, case.split) for case in cases] == [("Amsterdam_GE3T_100", None), ("Utrecht_0", None)]
    assert cases[1].images["t1"] == tmp_path / "Utrecht" / "0" / "pre" / "T1.nii.gz"


def test_wmh2017_case_with_a_mask_alone_is_refused(tmp_path: Path):
    touch_case(tmp_path, "Utrecht/0")
    touch(tmp_path, "Utrecht/2/wmh.nii.gz")
    with pytest.raises(LayoutError, match="Utrecht_2"):
        list(Wmh2017(tmp_path).cases())


def test_wmh2017_leaves_other_annotations_alone(tmp_path: Path):
    touch_case(tmp_path, "training/Utrecht/0")
    touch(tmp_path, "additional_annotations/observer_o3/training/Utrecht/0/result.nii.gz")
    assert [case.id for case in Wmh2017(tmp_path).cases()] == ["Utrecht_0"]


def test_a_case_in_two_splits_is_refused(tmp_path: Path):
    touch_case(tmp_path, "training/Utrecht/0")
    touch_case(tmp_path, "test/Utrecht/0")
    with pytest.raises(LayoutError, match="more than one case 'Utrecht_0'"):
        list(Wmh2017(tmp_path).cases())


@pytest.mark.parametrize(
    "masks", ["Ground Truth", "Ground_Truth", "ground_truth", "GroundTruth", "masks", "mask", "Läsionen (2)"]
)
def test_wmh_split_takes_any_mask_folder(tmp_path: Path, masks: str):
    touch(tmp_path / "train/training", "flair/7_flair.nii", "t1/7_t1.nii.gz", f"{masks}/7_wmh.nii")
    (case,) = WmhSplit(tmp_path).cases()
    assert case.label == tmp_path / "train/training" / masks / "7_wmh.nii"
    assert (case.id, case.group, case.split) == ("7", "7", "training")


@pytest.mark.parametrize(
    ("part", "split"),
    [
        ("train/training", "training"),
        ("training", "training"),
        ("train/validation", "validation"),
        ("validation", "validation"),
        ("test/train", "test"),
        ("test", "test"),
    ],
)
def test_wmh_split_finds_each_part(tmp_path: Path, part: str, split: str):
    touch(tmp_path / part, "flair/a b_flair.nii.gz", "t1/a b_t1.nii.gz")
    (case,) = WmhSplit(tmp_path).cases()
    assert (case.id, case.label, case.split) == ("a b", None, split)


def test_wmh_split_with_two_mask_folders_is_refused(tmp_path: Path):
    touch(tmp_path / "train/training", "flair/7_flair.nii", "t1/7_t1.nii", "masks/7_wmh.nii", "old masks/7_wmh.nii")
    with pytest.raises(LayoutError, match="masks and old masks"):
        list(WmhSplit(tmp_path).cases())


def test_wmh_split_mask_without_images_is_refused(tmp_path: Path):
    touch(tmp_path / "train/training", "flair/7_flair.nii", "t1/7_t1.nii", "masks/7_wmh.nii", "masks/8_wmh.nii")
    with pytest.raises(LayoutError, match="'8'"):
        list(WmhSplit(tmp_path).cases())


def test_natural_order():
    names = ["case_10", "case_2", "10", "9", "Case_1", "case_02", ""]
    assert sorted(names, key=natural_key) == ["", "9", "10", "Case_1", "case_02", "case_2", "case_10"]


def test_stems_and_description(tmp_path: Path):
    touch(tmp_path, "2_flair.nii", "10_flair.nii.gz", "2_flair.nii.gz", "_flair.nii", "3_t1.nii", ".5_flair.nii")
    assert list_image_stems(tmp_path, "_flair") == ["2", "10"]
    assert describe(tmp_path) == "2_flair.nii, 2_flair.nii.gz, 3_t1.nii, 10_flair.nii.gz, _flair.nii"
