"""Every rule of check finds what it should, and nothing else."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from lesionlab.core.case import Case
from lesionlab.core.layout import layout
from lesionlab.layouts.wmh2017 import LABELS
from lesionlab.workflows.check import Finding, judge

AFFINE = np.diag([1.0, 1.2, 3.0, 1.0])
SHAPE = (6, 7, 5)


def save(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, affine), path)
    return path


def voxels(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(100, 10, SHAPE).astype(np.float32)


def lesion() -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    mask[2:4, 3, 1] = 1
    mask[0, 0, 0] = 2
    return mask


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return sound_case(tmp_path / "a", seed=1)


def sound_case(folder: Path, *, seed: int) -> Case:
    images = {name: save(folder / f"{name}.nii.gz", voxels(seed + shift)) for name, shift in (("flair", 0), ("t1", 9))}
    return Case(id=folder.name, images=images, label=save(folder / "wmh.nii.gz", lesion()), group=folder.name)


def only(findings: tuple[Finding, ...]) -> Finding:
    assert len(findings) == 1, findings
    return findings[0]


def test_nothing_to_say_about_sound_cases(tmp_path: Path):
    assert judge([sound_case(tmp_path / str(seed), seed=seed) for seed in range(3)], LABELS) == ()


def test_a_finding_is_plain(case: Case):
    case.images["t1"].write_bytes(b"no image")
    finding = only(judge([case], LABELS))
    assert (finding.severity, finding.case, finding.where) == ("error", "a", str(case.images["t1"]))
    assert "\n" not in finding.message
    assert "wanted" in finding.message
    assert "next" in finding.message


def test_a_cut_file(case: Case):
    path = case.images["flair"]
    path.write_bytes(path.read_bytes()[:-40])
    assert "gzip" in only(judge([case], LABELS)).wanted


def test_a_missing_mask_file(case: Case):
    case.label.unlink()
    assert only(judge([case], LABELS)).where == str(case.label)


@pytest.mark.parametrize(
    ("array", "wanted"),
    [
        (np.ones((*SHAPE, 3), np.float32), "3-D"),
        (np.full(SHAPE, np.nan, np.float32), "finite"),
        (np.full(SHAPE, 7, np.float32), "contrast"),
    ],
)
def test_unusable_voxels(case: Case, array: np.ndarray, wanted: str):
    save(case.images["t1"], array)
    finding = only(judge([case], LABELS))
    assert finding.severity == "error"
    assert wanted in finding.wanted


@pytest.mark.parametrize("name", ["t1", "wmh"])
def test_another_grid(case: Case, name: str):
    path = case.images.get(name, case.label)
    shifted = AFFINE.copy()
    shifted[0, 3] = 5
    save(path, nibabel.load(path).get_fdata().astype(np.int16), shifted)
    finding = only(judge([case], LABELS))
    assert finding.severity == "error"
    assert "5 mm apart" in finding.found
    assert finding.where == f"{case.images['flair']} and {path}"


def test_rounding_of_an_affine_is_no_finding(case: Case):
    save(case.images["t1"], voxels(10), AFFINE + 1e-5)
    assert judge([case], LABELS) == ()


def test_another_order_of_axes_is_no_finding(case: Case):
    image = nibabel.Nifti1Image(voxels(10), AFFINE)
    turned = image.as_reoriented(nibabel.orientations.axcodes2ornt(("L", "S", "P")))
    nibabel.save(turned, case.images["t1"])
    assert turned.shape != image.shape
    assert judge([case], LABELS) == ()


@pytest.mark.parametrize(("value", "wanted"), [(3.0, "[0, 1, 2]"), (0.5, "whole numbers"), (-1.0, "whole numbers")])
def test_unknown_label_values(case: Case, value: float, wanted: str):
    mask = lesion().astype(np.float32)
    mask[0, 0, 1] = value
    save(case.label, mask)
    finding = only(judge([case], LABELS))
    assert finding.severity == "error"
    assert wanted in finding.wanted


def test_an_empty_mask_is_noted(case: Case):
    save(case.label, lesion() // 2 * 2)
    finding = only(judge([case], LABELS))
    assert (finding.severity, finding.found) == ("note", "a mask without lesion")


def test_no_mask_is_noted(case: Case):
    unlabelled = Case(id="b", images=case.images, label=None, group="b")
    assert (only(judge([unlabelled], LABELS)).severity, only(judge([unlabelled], LABELS)).found) == ("note", "no mask")


@pytest.mark.parametrize(("shift_mm", "expected"), [(0.01, 0), (2.0, 1)])
def test_two_transforms_that_disagree(case: Case, shift_mm: float, expected: int):
    image = nibabel.Nifti1Image(voxels(1), AFFINE)
    other = AFFINE.copy()
    other[2, 3] = shift_mm
    image.set_qform(other, code=1)
    nibabel.save(image, case.images["flair"])
    findings = judge([case], LABELS)
    assert [finding.severity for finding in findings] == ["warning"] * expected


def test_a_void_rotation_is_found(case: Case):
    image = nibabel.Nifti1Image(voxels(1), AFFINE)
    image.set_qform(AFFINE, code=1)
    for name in ("quatern_b", "quatern_c", "quatern_d"):
        image.header[name] = 1.0
    nibabel.save(image, case.images["flair"])
    assert "inf mm" in only(judge([case], LABELS)).found


def test_one_patient_twice(tmp_path: Path):
    first, second = (sound_case(tmp_path / name, seed=seed) for name, seed in (("a", 1), ("b", 5)))
    save(second.images["flair"], voxels(1))
    finding = only(judge([first, second], LABELS))
    assert (finding.severity, finding.case) == ("warning", "b")
    assert str(first.images["flair"]) in finding.found


def test_one_file_under_two_modalities(case: Case):
    case.images["t1"].write_bytes(case.images["flair"].read_bytes())
    assert only(judge([case], LABELS)).where == str(case.images["t1"])


def test_all_findings_are_gathered(tmp_path: Path):
    cases = [sound_case(tmp_path / name, seed=seed) for seed, name in enumerate("abc")]
    cases[0].images["t1"].write_bytes(b"")
    save(cases[1].images["t1"], np.zeros(SHAPE, np.float32))
    save(cases[2].label, np.zeros(SHAPE, np.uint8))
    assert [(finding.case, finding.severity) for finding in judge(cases, LABELS)] == [
        ("a", "error"),
        ("b", "error"),
        ("c", "note"),
    ]


@pytest.mark.slow
def test_real_scans_are_sound(real_data: Path, tmp_path: Path):
    for subject in ("ms_simvent_104252", "ms_simvent_105074"):
        folder = tmp_path / "Tabriz" / subject
        (folder / "pre").mkdir(parents=True)
        for stem, name in (("pre/FLAIR", "flair"), ("pre/T1", "t1"), ("wmh", "mask_wmh2")):
            (folder / f"{stem}.nii.gz").symlink_to(real_data / "brain" / subject / f"{name}.nii.gz")
    dataset = layout.build("wmh2017", folder=tmp_path)
    assert judge(dataset.cases(), dataset.labels) == ()
