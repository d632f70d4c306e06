"""What is special to the layout of Brain-Mets-Lung-MRI-Path-Segs; the rest is in tests/test_all_layouts.py."""

from pathlib import Path

import pytest
from sample_datasets import touch

from lesionlab.core.errors import LayoutError
from lesionlab.layouts import BrainMets


@pytest.mark.parametrize("root", ["", "radiology/"])
@pytest.mark.parametrize(
    "names",
    [
        ("YG_1_t1ce_img.nii.gz", "YG_1_flair_img.nii.gz", "YG_1_whole_seg.nii.gz"),
        ("T1CE.nii", "FLAIR.nii", "Whole_Seg.nii"),
    ],
)
def test_images_are_known_by_a_part_of_their_names(tmp_path: Path, root: str, names: tuple[str, str, str]):
    folder = tmp_path / root / "YG_1"
    touch(folder, *names, "YG_1_core_seg.nii.gz", "YG_1_t1ce_seg.nii.gz")
    (case,) = BrainMets(tmp_path).cases()
    assert (case.id, case.group, case.label) == ("YG_1", "YG_1", folder / names[2])
    assert case.images == {"t1ce": folder / names[0], "flair": folder / names[1]}


def test_a_name_that_fits_two_images_is_refused(tmp_path: Path):
    touch(tmp_path / "YG_1", "YG_1_t1ce_img.nii.gz", "YG_1_t1ce_img_old.nii.gz", "YG_1_flair_img.nii.gz")
    with pytest.raises(LayoutError, match=r"t1ce_img\.nii\.gz and YG_1_t1ce_img_old\.nii\.gz"):
        list(BrainMets(tmp_path).cases())


def test_a_mask_without_images_is_refused(tmp_path: Path):
    touch(tmp_path / "YG_1", "YG_1_t1ce_img.nii", "YG_1_whole_seg.nii")
    touch(tmp_path / "YG_2", "YG_2_whole_seg.nii")
    with pytest.raises(LayoutError, match="'YG_2'"):
        list(BrainMets(tmp_path).cases())
