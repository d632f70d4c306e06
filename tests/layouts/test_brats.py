"""What is special to the layout of the BraTS challenges; the rest is in tests/test_all_layouts.py."""

from pathlib import Path

import pytest
from sample_datasets import touch

from lesionlab.core.errors import LayoutError
from lesionlab.layouts import Brats

OLD = ("t1ce", "t1", "flair", "t2")
NEW = ("t1c", "t1n", "t2f", "t2w")


def touch_old(folder: Path, case: str, *, mask: str = "seg") -> None:
    touch(folder / case, *(f"{case}_{name}.nii.gz" for name in (*OLD, mask)))


def touch_new(folder: Path, case: str) -> None:
    touch(folder / case, *(f"{case}-{name}.nii" for name in (*NEW, "seg")))


def regions_of(folder: Path) -> dict[str, set[int]]:
    return {name: set(values) for name, values in Brats(folder).labels.regions.items()}


def test_until_2021_enhancing_tumour_is_4(tmp_path: Path):
    touch_old(tmp_path, "BraTS2021_00006")
    (case,) = Brats(tmp_path).cases()
    assert case.images["t1ce"] == tmp_path / "BraTS2021_00006/BraTS2021_00006_t1ce.nii.gz"
    assert case.label == tmp_path / "BraTS2021_00006/BraTS2021_00006_seg.nii.gz"
    assert regions_of(tmp_path) == {"WT": {1, 2, 4}, "TC": {1, 4}, "ET": {4}}


def test_since_2023_enhancing_tumour_is_3(tmp_path: Path):
    touch_new(tmp_path, "BraTS-GLI-00005-000")
    (case,) = Brats(tmp_path).cases()
    files = {"t1ce": "t1c", "t1": "t1n", "flair": "t2f", "t2": "t2w"}
    folder = tmp_path / "BraTS-GLI-00005-000"
    assert case.images == {name: folder / f"BraTS-GLI-00005-000-{word}.nii" for name, word in files.items()}
    assert regions_of(tmp_path) == {"WT": {1, 2, 3}, "TC": {1, 3}, "ET": {3}}


@pytest.mark.parametrize(
    "mask",
    [
        "subject_001/seg.nii.gz",
        "subject_001/labels/seg.nii.gz",
        "labels/subject_001.nii.gz",
        "labels/subject_001_seg.nii",
    ],
)
@pytest.mark.parametrize("root", ["", "images/"])
def test_names_without_an_id(tmp_path: Path, mask: str, root: str):
    touch(tmp_path / root / "subject_001", *(f"{name}.nii.gz" for name in OLD))
    place = tmp_path / (root if mask.startswith("subject") else "")
    touch(place, mask)
    (case,) = Brats(tmp_path).cases()
    assert (case.id, case.group, case.label) == ("subject_001", "subject_001", place / mask)
    assert case.images["flair"] == tmp_path / root / "subject_001/flair.nii.gz"
    assert regions_of(tmp_path)["ET"] == {3, 4}


def test_mixed_editions_may_hold_both_values(tmp_path: Path):
    touch_old(tmp_path, "BraTS2021_00006")
    touch_new(tmp_path, "BraTS-GLI-00005-000")
    assert len(list(Brats(tmp_path).cases())) == 2
    assert regions_of(tmp_path) == {"WT": {1, 2, 3, 4}, "TC": {1, 3, 4}, "ET": {3, 4}}


def test_visits_of_a_patient_are_one_group(tmp_path: Path):
    for case in ("BraTS-GLI-00005-000", "BraTS-GLI-00005-001", "BraTS-MET-00005-000"):
        touch_new(tmp_path, case)
    for case in ("Brats18_CBICA_AAB_1", "Brats18_TCIA08_242_1", "BraTS20_Training_001", "BraTS2021_00006"):
        touch_old(tmp_path, case)
    found = {case.id: (case.group, case.site) for case in Brats(tmp_path).cases()}
    assert found == {
        "BraTS-GLI-00005-000": ("BraTS-GLI-00005", ""),
        "BraTS-GLI-00005-001": ("BraTS-GLI-00005", ""),
        "BraTS-MET-00005-000": ("BraTS-MET-00005", ""),
        "Brats18_CBICA_AAB_1": ("Brats18_CBICA_AAB", "CBICA"),
        "Brats18_TCIA08_242_1": ("Brats18_TCIA08_242", "TCIA08"),
        "BraTS20_Training_001": ("BraTS20_Training_001", ""),
        "BraTS2021_00006": ("BraTS2021_00006", ""),
    }


def test_a_file_of_options_tells_patients_and_values(tmp_path: Path):
    for case in ("BraTS-GLI-00005-000", "BraTS-GLI-00005-101"):
        touch_new(tmp_path, case)
    options = "patient = '(BraTS-[A-Z]+)'\nignored = [4]\n"
    (tmp_path / "lesionlab.toml").write_text(options, encoding="utf-8")
    assert {case.group for case in Brats(tmp_path).cases()} == {"BraTS-GLI"}
    assert Brats(tmp_path).labels.ignored == {4}
    assert regions_of(tmp_path)["ET"] == {3}


def test_grades_and_parts(tmp_path: Path):
    touch_old(tmp_path / "MICCAI_BraTS_2019_Data_Training/HGG", "BraTS19_2013_2_1")
    touch_old(tmp_path / "MICCAI_BraTS_2019_Data_Training/LGG", "BraTS19_2013_9_1")
    touch_old(tmp_path / "MICCAI_BraTS_2019_Data_Validation", "BraTS19_CBICA_AAM_1")
    found = {case.id: (case.category, case.split) for case in Brats(tmp_path).cases()}
    assert found == {
        "BraTS19_2013_2_1": ("HGG", "training"),
        "BraTS19_2013_9_1": ("LGG", "training"),
        "BraTS19_CBICA_AAM_1": (None, "validation"),
    }


def test_the_one_mask_of_2020_with_another_name(tmp_path: Path):
    touch(tmp_path / "BraTS20_Training_355", *(f"BraTS20_Training_355_{name}.nii" for name in OLD))
    touch(tmp_path / "BraTS20_Training_355", "W39_1998.09.19_Segm.nii")
    (case,) = Brats(tmp_path).cases()
    assert case.label == tmp_path / "BraTS20_Training_355/W39_1998.09.19_Segm.nii"


def test_a_case_of_masks_alone_is_refused_once_another_is_whole(tmp_path: Path):
    touch_new(tmp_path, "BraTS-GLI-00005-000")
    touch(tmp_path / "BraTS-GLI-00006-000", "BraTS-GLI-00006-000-t2w.nii", "BraTS-GLI-00006-000-seg.nii")
    with pytest.raises(LayoutError, match="'t1ce' for case 'BraTS-GLI-00006-000'"):
        list(Brats(tmp_path).cases())


def test_without_cases_the_labels_are_those_of_today(tmp_path: Path):
    assert regions_of(tmp_path / "nowhere") == {"WT": {1, 2, 3}, "TC": {1, 3}, "ET": {3}}


@pytest.mark.parametrize(
    ("folder", "split"),
    [
        ("MICCAI_BraTS2020_TrainingData", "training"),
        ("ASNR-MICCAI-BraTS2023-GLI-Challenge-ValidationData", "validation"),
        ("training", "training"),
        ("trainingdata", "training"),
        ("TRAINING", "training"),
        ("pretraining", None),
        ("revalidation", None),
        ("Constraining", None),
    ],
)
def test_whole_words_of_folders_give_the_split(tmp_path: Path, folder: str, split: str | None):
    case = tmp_path / folder / "BraTS2021_00002"
    case.mkdir(parents=True)
    for name in ("t1ce", "t1", "flair", "t2"):
        (case / f"BraTS2021_00002_{name}.nii.gz").touch()
    (found,) = Brats(tmp_path).cases()
    assert found.split == split
