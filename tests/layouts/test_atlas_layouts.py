"""What is special to the two releases of ATLAS; the rest is in tests/test_all_layouts.py."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from sample_datasets import touch

from lesionlab.core.errors import LayoutError
from lesionlab.engine.case_files import read_mask
from lesionlab.layouts import AtlasR1, AtlasR2


def write(path: Path, values: list[float]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.array(values, dtype=np.float64).reshape(-1, 1, 1)
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), path)


def test_r1_names_site_patient_and_session(tmp_path: Path):
    for place in ("Site1/031768/t01", "Site8/031871/t01", "Site8/031871/t02"):
        patient = place.split("/")[1]
        touch(tmp_path / place, f"{patient}_t1w_deface_stx.nii.gz", f"{patient}_LesionSmooth_stx.nii.gz")
    found = [(case.id, case.group, case.site, case.split) for case in AtlasR1(tmp_path).cases()]
    assert found == [
        ("031768_t01", "031768", "Site1", None),
        ("031871_t01", "031871", "Site8", None),
        ("031871_t02", "031871", "Site8", None),
    ]


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("Site1/031768/t01", ("031768_t01", "031768", "Site1")),
        ("ATLAS_R1.1/Site1/031768/t01", ("031768_t01", "031768", "Site1")),
        ("Site1/031768", ("031768", "031768", "Site1")),
        ("031768/t01", ("031768_t01", "031768", "")),
        ("c0003/c0003s0002/t01", ("c0003s0002_t01", "c0003s0002", "c0003")),
    ],
)
def test_r1_lies_at_several_depths(tmp_path: Path, place: str, expected: tuple[str, str, str]):
    name = expected[1]
    scan = "t1w" if name[0] == "c" else "t1w_deface"
    touch(tmp_path / place, f"{name}_{scan}_stx.nii", f"{name}_LesionSmooth_stx.nii")
    (case,) = AtlasR1(tmp_path).cases()
    assert (case.id, case.group, case.site) == expected
    assert case.images == {"t1": tmp_path / place / f"{name}_{scan}_stx.nii"}


def test_r1_takes_every_further_mask_in_order(tmp_path: Path):
    folder = tmp_path / "Site1/031768/t01"
    masks = [f"031768_LesionSmooth_{number}_stx.nii.gz" for number in (1, 2, 10)]
    touch(folder, "031768_t1w_deface_stx.nii.gz", "031768_LesionSmooth_stx.nii.gz", *masks)
    (case,) = AtlasR1(tmp_path).cases()
    assert case.label == folder / "031768_LesionSmooth_stx.nii.gz"
    assert case.further_labels == tuple(folder / mask for mask in masks)


def test_r1_masks_are_binarised_before_any_cast_and_the_main_one_wins(tmp_path: Path):
    folder = tmp_path / "Site1/031768/t01"
    write(folder / "031768_t1w_deface_stx.nii.gz", [10, 20, 30, 40, 50, 60])
    write(folder / "031768_LesionSmooth_stx.nii.gz", [0.9999999998, 254.99999994, 0, 0, 0.4, 1])
    write(folder / "031768_LesionSmooth_1_stx.nii.gz", [0, 255, 253, 0, 0, 1])
    write(folder / "031768_LesionSmooth_2_stx.nii.gz", [1, 0, 0.9999999998, 2, 0, 0])
    layout = AtlasR1(tmp_path)
    (case,) = layout.cases()
    mask = read_mask(case, layout.labels).array
    assert mask.ravel().tolist() == [1, 1, 2, 2, 0, 1]
    layout.labels.check(mask, where=folder)
    assert layout.labels.names == ("main", "sub")


def test_r1_further_masks_without_a_primary_one_are_refused(tmp_path: Path):
    touch(tmp_path / "Site1/031768/t01", "031768_t1w_deface_stx.nii.gz", "031768_LesionSmooth_1_stx.nii.gz")
    with pytest.raises(LayoutError, match="a primary mask"):
        list(AtlasR1(tmp_path).cases())


def test_r2_gives_the_official_split_and_the_cohort(tmp_path: Path):
    training = tmp_path / "ATLAS_2/Training/R001/sub-r001s001/ses-1/anat"
    testing = tmp_path / "ATLAS_2/Testing/R003/sub-r003s002/ses-2/anat"
    stem, other = "sub-r001s001_ses-1_space-MNI152NLin2009aSym", "sub-r003s002_ses-2_space-MNI152NLin2009aSym"
    touch(training, f"{stem}_T1w.nii.gz", f"{stem}_label-L_desc-T1lesion_mask.nii.gz")
    touch(testing, f"{other}_T1w.nii.gz")
    first, second = AtlasR2(tmp_path).cases()
    assert (first.id, first.group, first.site, first.split) == (
        "sub-r001s001_ses-1", "sub-r001s001", "R001", "training",
    )  # fmt: skip
    assert first.label == training / f"{stem}_label-L_desc-T1lesion_mask.nii.gz"
    assert (second.id, second.site, second.split, second.label) == ("sub-r003s002_ses-2", "R003", "test", None)


def test_r2_without_parts_and_with_other_masks_beside(tmp_path: Path):
    folder = tmp_path / "sub-Müller 1/ses-1/anat"
    touch(folder, "sub-Müller 1_ses-1_T1w.nii", "sub-Müller 1_ses-1_label-L_mask.nii")
    touch(folder, "sub-Müller 1_ses-1_desc-brain_mask.nii", "sub-Müller 1_ses-1_T1w.json")
    (case,) = AtlasR2(tmp_path).cases()
    assert (case.id, case.site, case.split) == ("sub-Müller 1_ses-1", "", None)
    assert case.label == folder / "sub-Müller 1_ses-1_label-L_mask.nii"


def test_r2_with_two_lesion_masks_is_refused(tmp_path: Path):
    folder = tmp_path / "sub-r001s001/ses-1/anat"
    names = ("T1w.nii.gz", "label-L_desc-T1lesion_mask.nii.gz", "label-L_desc-old_mask.nii.gz")
    touch(folder, *(f"sub-r001s001_ses-1_{name}" for name in names))
    with pytest.raises(LayoutError, match="one image of the lesion"):
        list(AtlasR2(tmp_path).cases())
