"""What is special to folders of DICOM series; the rest is in tests/test_all_layouts.py."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from dicom_files import write_series

from lesionlab.core.errors import LayoutError
from lesionlab.layouts import Dicom

SLICES = np.zeros((2, 2, 2))


@pytest.mark.parametrize(
    ("description", "kind", "modality"),
    [
        ("t2_spc_FLAIR_sag", "MR", "flair"),
        ("T2 Dark-Fluid tra", "MR", "flair"),
        ("t1_mprage_sag", "MR", "t1"),
        ("T1 MPRAGE post GD", "MR", "t1ce"),
        ("ax T1 +C", "MR", "t1ce"),
        ("AX_T2_TSE", "MR", "t2"),
        ("ep2d_diff_TRACEW", "MR", "dwi"),
        ("ep2d_diff_ADC", "MR", "adc"),
        ("SWI_Images", "MR", "swi"),
        ("Head 5.0 H31s", "CT", "ct"),
    ],
)
def test_descriptions(tmp_path: Path, description: str, kind: str, modality: str):
    write_series(tmp_path / "p" / "1", SLICES, description=description, kind=kind)
    write_series(tmp_path / "p" / "2", SLICES, description="AAHead_Scout", kind=kind)
    dataset = Dicom(tmp_path)
    (case,) = dataset.cases()
    assert dataset.modalities == (modality,)
    assert case.images == {modality: tmp_path / "p" / "1"}


def test_ids_and_patients_come_from_folders(tmp_path: Path):
    for visit in ("2020", "2021"):
        write_series(tmp_path / "anna" / visit / "3", SLICES, study=visit)
    assert [(case.id, case.group) for case in Dicom(tmp_path).cases()] == [("anna_2020", "anna"), ("anna_2021", "anna")]


def test_the_folder_may_be_one_case(tmp_path: Path):
    write_series(tmp_path / "scan" / "1", SLICES, description="FLAIR")
    write_series(tmp_path / "scan" / "2", SLICES, description="T1")
    (case,) = Dicom(tmp_path / "scan").cases()
    assert (case.id, set(case.images)) == ("scan", {"flair", "t1"})


def test_series_of_different_studies_are_cases(tmp_path: Path):
    for name in ("anna", "ben"):
        write_series(tmp_path / name, SLICES, description="Head", kind="CT", study=f"1.{len(name)}")
    (tmp_path / "ben" / "mask.nii.gz").touch()
    first, second = Dicom(tmp_path).cases()
    assert (first.id, first.images, first.label) == ("anna", {"ct": tmp_path / "anna"}, None)
    assert (second.id, second.label) == ("ben", tmp_path / "ben" / "mask.nii.gz")


def test_two_series_for_one_modality_are_refused_until_one_is_chosen(tmp_path: Path):
    write_series(tmp_path / "p" / "3", SLICES, description="T1 sag")
    write_series(tmp_path / "p" / "4", SLICES, description="T1 tra")
    with pytest.raises(LayoutError, match="3 and 4"):
        list(Dicom(tmp_path).cases())
    (tmp_path / "lesionlab.toml").write_text('[modalities]\nt1 = "*tra"')
    (case,) = Dicom(tmp_path).cases()
    assert case.images == {"t1": tmp_path / "p" / "4"}
    shutil.rmtree(tmp_path / "p" / "4")
    (tmp_path / "p" / "mask.nii").touch()
    with pytest.raises(LayoutError):
        list(Dicom(tmp_path).cases())


def test_nothing_about_a_person_is_told(tmp_path: Path):
    write_series(tmp_path / "p" / "3", SLICES, description="T1 canary")
    write_series(tmp_path / "p" / "4", SLICES, description="T1 canary")
    with pytest.raises(LayoutError) as caught:
        list(Dicom(tmp_path).cases())
    assert "anary" not in str(caught.value)
