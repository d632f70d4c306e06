"""What is special to the layout of ISLES 2022; the rest is in tests/test_all_layouts.py."""

from pathlib import Path

import pytest
from sample_datasets import touch

from lesionlab.core.errors import LayoutError
from lesionlab.layouts import Isles2022

CASE = "sub-strokecase0001_ses-0001"


@pytest.mark.parametrize("root", ["", "rawdata/", "ISLES-2022/", "ISLES-2022/ISLES-2022/", "ISLES-2022/rawdata/"])
@pytest.mark.parametrize("images", ["dwi/", ""])
def test_the_subjects_lie_at_several_depths(tmp_path: Path, root: str, images: str):
    session = tmp_path / f"{root}sub-strokecase0001/ses-0001"
    mask = tmp_path / root.replace("rawdata/", "") / f"derivatives/sub-strokecase0001/ses-0001/{CASE}_msk.nii.gz"
    touch(session, f"{images}{CASE}_dwi.nii.gz", f"{images}{CASE}_adc.nii.gz", f"anat/{CASE}_FLAIR.nii.gz")
    touch(mask.parent, mask.name)
    (case,) = Isles2022(tmp_path).cases()
    assert (case.id, case.group, case.split, case.label) == (CASE, "sub-strokecase0001", None, mask)
    assert case.images == {name: session / f"{images}{CASE}_{name}.nii.gz" for name in ("dwi", "adc")}


def test_derivatives_beside_rawdata_are_found_from_rawdata_and_from_above(tmp_path: Path):
    touch(tmp_path / "rawdata/sub-strokecase0001/ses-0001", f"{CASE}_dwi.nii", f"{CASE}_adc.nii")
    touch(tmp_path / "derivatives/sub-strokecase0001/ses-0001", f"{CASE}_msk.nii")
    from_above, from_rawdata = ([*Isles2022(folder).cases()] for folder in (tmp_path, tmp_path / "rawdata"))
    assert from_above == from_rawdata
    assert from_above[0].label is not None


def test_a_copy_that_made_folders_of_files(tmp_path: Path):
    session = tmp_path / "ISLES-2022/ISLES-2022/sub-strokecase0001/ses-0001/dwi"
    masks = tmp_path / "ISLES-2022/ISLES-2022/derivatives/sub-strokecase0001/ses-0001"
    touch(session, f"{CASE}_dwi.nii/{CASE}_dwi.nii", f"{CASE}_adc.nii/another name.nii")
    touch(masks, f"{CASE}_msk.nii/{CASE}_msk.nii")
    (case,) = Isles2022(tmp_path).cases()
    assert case.images["dwi"] == session / f"{CASE}_dwi.nii/{CASE}_dwi.nii"
    assert case.images["adc"] == session / f"{CASE}_adc.nii/another name.nii"
    assert case.label == masks / f"{CASE}_msk.nii/{CASE}_msk.nii"


def test_a_file_and_a_folder_of_one_name_are_refused(tmp_path: Path):
    session = tmp_path / "sub-strokecase0001/ses-0001/dwi"
    touch(session, f"{CASE}_dwi.nii/inner.nii", f"{CASE}_dwi.nii.gz", f"{CASE}_adc.nii")
    with pytest.raises(LayoutError, match="one image"):
        list(Isles2022(tmp_path).cases())


def test_two_images_in_a_folder_of_one_name_are_refused(tmp_path: Path):
    session = tmp_path / "sub-strokecase0001/ses-0001/dwi"
    touch(session, f"{CASE}_dwi.nii/a.nii", f"{CASE}_dwi.nii/b.nii", f"{CASE}_adc.nii")
    with pytest.raises(LayoutError, match=r"a\.nii and b\.nii"):
        list(Isles2022(tmp_path).cases())


def test_the_sessions_of_a_subject_are_one_group(tmp_path: Path):
    for session in ("ses-0001", "ses-0002"):
        stem = f"sub-strokecase0007_{session}"
        touch(tmp_path / "sub-strokecase0007" / session / "dwi", f"{stem}_dwi.nii.gz", f"{stem}_adc.nii.gz")
    cases = list(Isles2022(tmp_path).cases())
    assert [case.id for case in cases] == ["sub-strokecase0007_ses-0001", "sub-strokecase0007_ses-0002"]
    assert {case.group for case in cases} == {"sub-strokecase0007"}
