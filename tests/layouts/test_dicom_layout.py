"""What is special to folders of DICOM series; the rest is in tests/test_all_layouts.py."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from dicom_files import change, write_series
from pydicom import dcmread

from lesionlab.core.errors import LayoutError
from lesionlab.engine.case_files import read_scan
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


def pour(source: Path, target: Path) -> None:
    """Move the files of a series into a folder that may hold others."""
    target.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        path.rename(target / f"{source.name}_{path.name}")


def test_several_series_in_one_folder_are_one_case(tmp_path: Path):
    uids = {}
    for number, name in enumerate(("t2_flair_tra", "t1_mprage", "localizer", "mpr iso")):
        for path in write_series(tmp_path / "out" / name, SLICES, description=name):
            change(path, SeriesNumber=number + 1)
            uids[name] = dcmread(path).SeriesInstanceUID
        pour(tmp_path / "out" / name, tmp_path / "data" / "anna")
    (case,) = Dicom(tmp_path / "data").cases()
    folder = tmp_path / "data" / "anna"
    assert (case.id, case.images) == ("anna", {"flair": folder, "t1": folder})
    assert case.parts == {"flair": uids["t2_flair_tra"], "t1": uids["t1_mprage"]}
    assert case.image_names == {"flair": "series 1 (t2_flair_tra)", "t1": "series 2 (t1_mprage)"}
    assert sorted(case.notes) == [
        "series 3 (localizer) is not used: a localiser",
        "series 4 (mpr iso) is not used: no known modality",
    ]


def test_mixed_folders_of_one_study_are_one_case(tmp_path: Path):
    for part, names in (("a", ("t2_flair", "localizer")), ("b", ("t1_mprage", "SWI phase"))):
        for name in names:
            write_series(tmp_path / "out" / name, SLICES, description=name, study="1.7")
            pour(tmp_path / "out" / name, tmp_path / "data" / "anna" / part)
    (case,) = Dicom(tmp_path / "data").cases()
    assert (case.id, set(case.images)) == ("anna", {"flair", "t1"})


def test_mixed_folders_of_many_studies_are_cases(tmp_path: Path):
    for patient in ("anna", "ben"):
        for name in ("t2_flair", "t1_mprage"):
            write_series(tmp_path / "out" / name, SLICES, description=name, study=f"1.{len(patient)}")
            pour(tmp_path / "out" / name, tmp_path / "data" / patient)
    assert [case.id for case in Dicom(tmp_path / "data").cases()] == ["anna", "ben"]
    for path in write_series(tmp_path / "out" / "more", SLICES, description="t2_tse", study="1.9"):
        path.rename(tmp_path / "data" / "anna" / f"more_{path.name}")
    with pytest.raises(LayoutError, match="2 studies"):
        list(Dicom(tmp_path / "data").cases())


def test_files_directly_in_the_folder_are_one_case(tmp_path: Path):
    for name in ("t2_flair", "t1_mprage"):
        write_series(tmp_path / "out" / name, SLICES, description=name)
        pour(tmp_path / "out" / name, tmp_path / "anna")
    (case,) = Dicom(tmp_path / "anna").cases()
    assert (case.id, case.group, set(case.images)) == ("anna", "anna", {"flair", "t1"})


def test_of_several_b_values_the_highest_is_dwi(tmp_path: Path):
    uid = ""
    for b_value in (0.0, 500.0, 1000.0):
        for path in write_series(tmp_path / "out" / f"b{b_value:g}", SLICES, description="ep2d_diff_trace"):
            uid = uid or dcmread(path).SeriesInstanceUID
            change(path, DiffusionBValue=b_value, SeriesInstanceUID=uid)
        pour(tmp_path / "out" / f"b{b_value:g}", tmp_path / "data" / "anna" / "3")
    (case,) = Dicom(tmp_path / "data").cases()
    assert case.parts == {"dwi": f"{uid}/b1000"}
    assert [note for note in case.notes if "not used" in note] == [
        "series (ep2d_diff_trace, b0) is not used: b = 0",
        "series (ep2d_diff_trace, b500) is not used: a lower b-value",
    ]


@pytest.mark.parametrize("kind", ["SR", "PR", "KO", "SEG", "RTSTRUCT", "RTDOSE", "OT"])
def test_what_is_no_scan_is_noted(tmp_path: Path, kind: str):
    write_series(tmp_path / "p" / "3", SLICES, description="T2 FLAIR")
    write_series(tmp_path / "p" / "9", SLICES, description="FLAIR findings", kind=kind)
    (case,) = Dicom(tmp_path).cases()
    assert case.images == {"flair": tmp_path / "p" / "3"}
    assert any(note.startswith("9: 2 files not used") for note in case.notes)


def test_slices_of_several_directions_are_no_modality(tmp_path: Path):
    write_series(tmp_path / "p" / "1", SLICES, description="T2 FLAIR")
    planes = ((1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (1.0, 0.0, 0.0, 0.0, 0.0, -1.0))
    uid = ""
    for number, orientation in enumerate(planes):
        for path in write_series(tmp_path / "out" / str(number), SLICES, description="t2", orientation=orientation):
            uid = uid or dcmread(path).SeriesInstanceUID
            change(path, SeriesInstanceUID=uid)
        pour(tmp_path / "out" / str(number), tmp_path / "p" / "2")
    (tmp_path / "out" / "0").rmdir(), (tmp_path / "out" / "1").rmdir(), (tmp_path / "out").rmdir()
    (case,) = Dicom(tmp_path).cases()
    assert set(case.images) == {"flair"}
    assert sum("several directions" in note for note in case.notes) == 2


def test_descriptions_are_read_in_their_own_character_set(tmp_path: Path):
    for path in write_series(tmp_path / "p" / "1", SLICES, description="x"):
        change(path, SpecificCharacterSet="ISO_IR 100", SeriesDescription="T1 après injection")
    assert b"apr\xe8s" in path.read_bytes()
    (case,) = Dicom(tmp_path).cases()
    assert set(case.images) == {"t1ce"}


def test_a_folder_of_several_series_is_not_named_after_one(tmp_path: Path):
    for name in ("", "t2_flair"):
        write_series(tmp_path / "out" / f"s{name}", SLICES, description=name)
        pour(tmp_path / "out" / f"s{name}", tmp_path / "data" / "t1_study")
    (case,) = Dicom(tmp_path / "data").cases()
    assert set(case.images) == {"flair"}


def test_an_object_of_the_scanner_is_not_taken_for_a_broken_scan(tmp_path: Path):
    write_series(tmp_path / "p" / "3", SLICES, description="T2 FLAIR")
    for path in write_series(tmp_path / "p" / "99", SLICES[..., :1], description="PhoenixZIPReport"):
        change(path, SOPClassUID="1.3.12.2.1107.5.9.1", Rows=None, Columns=None, PixelData=None)
        path.rename(tmp_path / "p" / "3" / "phoenix.dcm")
    (case,) = Dicom(tmp_path).cases()
    assert case.notes == ("3: 1 file not used: an object without pixels",)
    assert read_scan(case, "flair").array.shape == (2, 2, 2)
