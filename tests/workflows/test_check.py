"""Every fault that is planted is found under its own rule, and nothing else is said."""

import gzip
import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image as Picture
from tiny_training import AFFINE, SHAPE, phantom, save, write_case

from lesionlab.cli.main import main
from lesionlab.core.case import Case
from lesionlab.core.labels import Labels
from lesionlab.layouts.wmh2017 import LABELS
from lesionlab.workflows.check import Finding, check, judge

FLAIR, T1, MASK = "pre/FLAIR.nii.gz", "pre/T1.nii.gz", "wmh.nii.gz"


def patient(folder: Path, number: int, *, part: str = "") -> Path:
    return write_case(folder / part / "Utrecht" / str(number), seed=number)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two sound patients in the layout wmh2017; faults are planted in the first."""
    for number in (0, 1):
        patient(tmp_path, number)
    return tmp_path


def values(path: Path) -> np.ndarray:
    return np.asarray(nibabel.load(path).dataobj)


def affine_with(*, shift_mm: float = 0, scale_z: float = 1, turn_degrees: float = 0, shear: float = 0) -> np.ndarray:
    affine = AFFINE.copy()
    affine[0, 3] += shift_mm
    affine[:, 2] *= scale_z
    angle = np.deg2rad(turn_degrees)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    affine = turn @ affine
    affine[0, 1] += shear
    return affine


def patch_header(path: Path, **fields: float) -> None:
    """Overwrite header fields in the file itself: nibabel would correct some of them."""
    offsets = {"scl_slope": (112, "f"), "scl_inter": (116, "f"), "xyzt_units": (123, "B"), "pixdim3": (88, "f")}
    offsets |= {"qform_code": (252, "h"), "sform_code": (254, "h"), "qoffset_x": (268, "f")}
    offsets |= {"quatern_b": (256, "f"), "quatern_c": (260, "f"), "quatern_d": (264, "f")}
    data = bytearray(gzip.decompress(path.read_bytes()))
    for name, value in fields.items():
        offset, kind = offsets[name]
        struct.pack_into(f"<{kind}", data, offset, value)
    path.write_bytes(gzip.compress(bytes(data)))


def both(case: Path, change: Callable[[np.ndarray], np.ndarray], affine: np.ndarray = AFFINE) -> None:
    for name in (FLAIR, T1, MASK):
        save(case / name, change(values(case / name)), affine)


def with_voxel(path: Path, value: float, dtype: type = np.float32) -> None:
    array = values(path).astype(dtype)
    array[0, 0, 0] = value
    save(path, array)


def reoriented(path: Path, codes: str) -> None:
    image = nibabel.load(path)
    start = nibabel.io_orientation(image.affine)
    turned = image.as_reoriented(
        nibabel.orientations.ornt_transform(start, nibabel.orientations.axcodes2ornt(tuple(codes)))
    )
    save(path, np.asarray(turned.dataobj), turned.affine)


def blank_plane(path: Path) -> None:
    array = values(path)
    array[:, :, 2] = 0
    save(path, array)


def lesion_outside(path: Path) -> None:
    mask = np.zeros(SHAPE, np.uint8)
    mask[:3, :3] = 1
    save(path, mask)


def exchange(case: Path) -> None:
    flair, t1 = (case / FLAIR).read_bytes(), (case / T1).read_bytes()
    (case / FLAIR).write_bytes(t1)
    (case / T1).write_bytes(flair)


Plant = Callable[[Path], object]

FAULTS: dict[str, tuple[str, str, Plant]] = {
    "a cut file": ("error", "unreadable", lambda case: (case / T1).write_bytes((case / T1).read_bytes()[:-40])),
    "no image at all": ("error", "unreadable", lambda case: (case / T1).write_bytes(b"no image")),
    "a flipped byte": (
        "error",
        "unreadable",
        lambda case: (case / T1).write_bytes(
            (case / T1).read_bytes()[:-8] + b"\0\0\0\0" + (case / T1).read_bytes()[-4:]
        ),
    ),
    "four dimensions": ("error", "unreadable", lambda case: save(case / T1, np.ones((*SHAPE, 3), np.float32))),
    "a broken link": (
        "error",
        "unreadable",
        lambda case: ((case / MASK).unlink(), save(case / MASK, np.ones(2, np.float32))),
    ),
    "one slice less": ("error", "shape", lambda case: save(case / T1, values(case / T1)[..., :-1])),
    "another shape of the mask": ("error", "shape", lambda case: save(case / MASK, values(case / MASK)[1:])),
    "another spacing": ("error", "spacing", lambda case: save(case / T1, values(case / T1), affine_with(scale_z=1.01))),
    "a shifted image": ("error", "position", lambda case: save(case / T1, values(case / T1), affine_with(shift_mm=5))),
    "a shifted mask": (
        "error",
        "position",
        lambda case: save(case / MASK, values(case / MASK), affine_with(shift_mm=0.01)),
    ),
    "a turned image": (
        "error",
        "position",
        lambda case: save(case / T1, values(case / T1), affine_with(turn_degrees=2)),
    ),
    "axes another way": ("note", "orientation", lambda case: reoriented(case / T1, "LSP")),
    "a tilted scan": ("note", "oblique", lambda case: both(case, np.asarray, affine_with(turn_degrees=25))),
    "a scan between two axes": (
        "warning",
        "oblique",
        lambda case: both(case, np.asarray, affine_with(turn_degrees=40)),
    ),
    "a sheared scan": ("warning", "sheared", lambda case: both(case, np.asarray, affine_with(shear=0.2))),
    "two transforms apart": (
        "warning",
        "transforms",
        lambda case: patch_header(case / FLAIR, qform_code=1, qoffset_x=5),
    ),
    "a void rotation": (
        "warning",
        "transforms",
        lambda case: patch_header(case / FLAIR, qform_code=1, quatern_b=1, quatern_c=1, quatern_d=1),
    ),
    "another voxel size": ("warning", "voxel-size", lambda case: patch_header(case / FLAIR, pixdim3=1)),
    "metres": ("warning", "units", lambda case: patch_header(case / FLAIR, xyzt_units=1)),
    "slope zero": ("warning", "slope", lambda case: patch_header(case / FLAIR, scl_slope=0)),
    "slope not a number": ("warning", "slope", lambda case: patch_header(case / FLAIR, scl_slope=np.nan)),
    "a slope that overflows": ("error", "not-finite", lambda case: patch_header(case / FLAIR, scl_slope=1e38)),
    "a mask with a slope": (
        "warning",
        "mask-slope",
        lambda case: (save(case / MASK, values(case / MASK) * 2), patch_header(case / MASK, scl_slope=0.5)),
    ),
    "a further axis": ("note", "further-axes", lambda case: save(case / T1, values(case / T1)[..., None])),
    "a voxel that is no number": ("error", "not-finite", lambda case: with_voxel(case / FLAIR, np.nan)),
    "an infinite voxel": ("error", "not-finite", lambda case: with_voxel(case / FLAIR, np.inf)),
    "one value everywhere": ("error", "constant", lambda case: save(case / T1, np.full(SHAPE, 7, np.float32))),
    "a lost slice": ("warning", "lost-planes", lambda case: blank_plane(case / T1)),
    "an unknown label": ("error", "label-unknown", lambda case: with_voxel(case / MASK, 3, np.uint8)),
    "a fraction in the mask": ("error", "label-fraction", lambda case: with_voxel(case / MASK, 0.5)),
    "a negative label": ("error", "label-fraction", lambda case: with_voxel(case / MASK, -1)),
    "noise in the mask": ("note", "label-noise", lambda case: with_voxel(case / MASK, 1 + 1e-6)),
    "an empty mask": ("note", "label-empty", lambda case: save(case / MASK, np.zeros(SHAPE, np.uint8))),
    "no mask": ("note", "label-missing", lambda case: (case / MASK).unlink()),
    "lesions in the air": ("warning", "label-outside", lambda case: lesion_outside(case / MASK)),
    "a mask of the brain": (
        "warning",
        "label-everywhere",
        lambda case: save(case / MASK, (values(case / FLAIR) > 20).astype(np.uint8)),
    ),
    "two modalities exchanged": ("warning", "modalities-exchanged", exchange),
    "one image under two names": (
        "warning",
        "copy",
        lambda case: (case / T1).write_bytes((case / FLAIR).read_bytes()),
    ),
    "another patient's image": (
        "warning",
        "copy",
        lambda case: save(case / T1, values(case.parent / "1" / T1)),
    ),
    "another compression": (
        "warning",
        "copy",
        lambda case: (case / T1).write_bytes(gzip.compress(gzip.decompress((case.parent / "1" / T1).read_bytes()), 1)),
    ),
    "a mirrored copy": (
        "warning",
        "mirrored-copy",
        lambda case: save(case / T1, values(case.parent / "1" / T1)[::-1]),
    ),
    "another patient's mask": (
        "warning",
        "mask-copy",
        lambda case: save(case / MASK, values(case.parent / "1" / MASK)),
    ),
    "a file that nobody reads": ("note", "left-over", lambda case: save(case / "pre" / "T2.nii.gz", phantom(7)[0])),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(folder: Path, name: str):
    severity, rule, plant = FAULTS[name]
    plant(folder / "Utrecht" / "0")
    findings = check(f"wmh2017:{folder}")
    assert {(finding.rule, finding.severity) for finding in findings} == {(rule, severity)}
    assert all("Utrecht" in finding.where or finding.rule == "left-over" for finding in findings)


def test_nothing_to_say_about_sound_patients(folder: Path):
    for number in range(2, 7):
        patient(folder, number)
    assert check(f"wmh2017:{folder}") == ()


def only(findings: tuple[Finding, ...]) -> Finding:
    assert len(findings) == 1, findings
    return findings[0]


def test_a_finding_is_plain(folder: Path):
    path = folder / "Utrecht" / "0" / T1
    path.write_bytes(b"no image")
    finding = only(check(f"wmh2017:{folder}"))
    assert (finding.severity, finding.case, finding.where) == ("error", "Utrecht_0", str(path))
    assert "\n" not in finding.message
    assert "wanted" in finding.message
    assert "next" in finding.message


def test_a_shift_is_told_in_millimetres(folder: Path):
    path = folder / "Utrecht" / "0" / T1
    save(path, values(path), affine_with(shift_mm=5))
    finding = only(check(f"wmh2017:{folder}"))
    assert "5 mm apart" in finding.found
    assert finding.where == f"{path.with_name('FLAIR.nii.gz')} and {path}"


def test_rounding_of_an_affine_is_no_finding(folder: Path):
    path = folder / "Utrecht" / "0" / T1
    save(path, values(path), AFFINE + 4e-6)
    assert check(f"wmh2017:{folder}") == ()


@pytest.mark.parametrize("rule", ["leaked-patient", "leaked-copy"])
def test_a_patient_in_two_parts(tmp_path: Path, rule: str):
    training, test = patient(tmp_path, 0, part="training"), patient(tmp_path, 1, part="test")
    if rule == "leaked-copy":
        save(test / FLAIR, values(training / FLAIR)[:, ::-1])
        finding = only(check(f"wmh2017:{tmp_path}"))
        assert "training and test" in finding.found
    else:
        finding = only(judge([case_of(training, split="training"), case_of(test, split="test")], LABELS))
        assert "patient anna in training and test" in finding.found
    assert (finding.rule, finding.severity) == (rule, "error")


def case_of(folder: Path, **fields: str) -> Case:
    images = {"flair": folder / FLAIR, "t1": folder / T1}
    return Case(id=folder.name, images=images, label=folder / MASK, group="anna", **fields)


def test_copies_within_a_part_spoil_nothing_and_are_warned_of(tmp_path: Path):
    first, second = patient(tmp_path, 0), patient(tmp_path, 1)
    padded = np.pad(values(first / FLAIR), ((0, 0), (0, 0), (0, 3)), constant_values=values(first / FLAIR).min())
    save(second / FLAIR, padded[..., : SHAPE[2] + 3])
    findings = [finding.rule for finding in check(f"wmh2017:{tmp_path}")]
    assert findings.count("mirrored-copy") == 1


def test_exchanged_modalities_are_found_without_masks(tmp_path: Path):
    """By what the other patients look like."""
    cases = [patient(tmp_path, number) for number in range(6)]
    exchange(cases[3])
    for case in cases:
        (case / MASK).unlink()
    findings = [finding for finding in check(f"wmh2017:{tmp_path}") if finding.rule != "label-missing"]
    assert (only(tuple(findings)).rule, only(tuple(findings)).case) == ("modalities-exchanged", "Utrecht_3")


def test_modalities_of_unlike_patients_are_not_judged(tmp_path: Path):
    """Where half of the patients differ from the other half, nobody knows which of them are right."""
    cases = [patient(tmp_path, number) for number in range(6)]
    for case in cases[:3]:
        exchange(case)
    for case in cases:
        (case / MASK).unlink()
    assert {finding.rule for finding in check(f"wmh2017:{tmp_path}")} == {"label-missing"}


def test_ct_without_its_offset(tmp_path: Path):
    head = phantom(0)[0] * 5 + 300
    path = save(tmp_path / "ct.nii.gz", head - head.min())
    case = Case(id="a", images={"ct": path}, label=None, group="a")
    rules = {finding.rule for finding in judge([case], LABELS)}
    assert rules == {"hounsfield", "label-missing"}
    save(path, head - head.min() - 1024)
    assert "hounsfield" not in {finding.rule for finding in judge([case], LABELS)}


def test_a_modality_that_is_missing_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from lesionlab.layouts.wmh2017 import Wmh2017

    monkeypatch.setattr(Wmh2017, "modalities", ("flair", "t1", "t2"))
    monkeypatch.setattr(Wmh2017, "cases", lambda _: iter([case_of(patient(tmp_path, 0))]))
    finding = only(check(f"wmh2017:{tmp_path}"))
    assert (finding.rule, finding.severity, finding.found) == ("modality-missing", "note", "no t2")


def test_a_stored_lesion_of_255_is_read_by_the_labels(folder: Path):
    case = case_of(folder / "Utrecht" / "0")
    save(case.label, values(case.label) * 255)
    grey = Labels(regions={"lesion": frozenset({1})}, lesion_above=127.0)
    assert judge([case], grey) == ()
    assert {finding.rule for finding in judge([case], LABELS)} == {"label-unknown", "label-empty"}


def test_a_channel_in_the_place_of_another_is_noted(tmp_path: Path):
    """Of 655 slices of the LGG set, 117 have FLAIR in the place of a sequence that was not acquired."""
    flair, t1, _ = phantom(0)
    channels = [flair[..., 2] / 3, t1[..., 2] / 3, flair[..., 2] / 3]
    pixels = np.stack([np.clip(channel, 0, 255).astype(np.uint8).T for channel in channels], axis=2)
    Picture.fromarray(pixels).save(tmp_path / "slice.png")
    names = ("t1", "flair", "t1ce")
    images, parts = dict.fromkeys(names, tmp_path / "slice.png"), dict(zip(names, "012", strict=True))
    case = Case(id="a", images=images, parts=parts, label=None, group="a")
    findings = judge([case], LABELS)
    assert {(one.rule, one.severity) for one in findings} == {("repeated-channel", "note"), ("label-missing", "note")}


def test_further_masks_on_another_grid(folder: Path):
    case = case_of(folder / "Utrecht" / "0")
    further = save(folder / "further.nii.gz", values(case.label), affine_with(shift_mm=3))
    finding = only(judge([replace(case, further_labels=(further,))], LABELS))
    assert (finding.rule, finding.severity) == ("position", "error")


def test_all_findings_are_gathered(tmp_path: Path):
    cases = [patient(tmp_path, number) for number in range(3)]
    (cases[0] / T1).write_bytes(b"")
    save(cases[1] / T1, np.zeros(SHAPE, np.float32))
    save(cases[2] / MASK, np.zeros(SHAPE, np.uint8))
    told = [(finding.case[-1], finding.severity) for finding in check(f"wmh2017:{tmp_path}")]
    assert told == [("0", "error"), ("1", "error"), ("2", "note")]


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[object, str]:
    with pytest.raises(SystemExit) as ended:
        main(["check", *words])
    return ended.value.code, capsys.readouterr().out


def test_the_command_tells_and_writes(folder: Path, tmp_path_factory: pytest.TempPathFactory, capsys):
    out = tmp_path_factory.mktemp("out") / "findings.json"
    case = folder / "Utrecht" / "0"
    with_voxel(case / MASK, 3, np.uint8)
    save(case / "further.nii.gz", phantom(7)[0])
    code, text = said(capsys, f"wmh2017:{folder}", "--json", str(out))
    assert code == 1
    assert "label-unknown" in text
    assert text.rstrip().endswith(str(out))
    content = json.loads(out.read_text())
    assert content["counts"] == {"error": 1, "warning": 0, "note": 1}
    assert {finding["rule"] for finding in content["findings"]} == {"label-unknown", "left-over"}


def test_the_command_is_content_with_notes(folder: Path, capsys):
    (folder / "Utrecht" / "0" / MASK).unlink()
    code, text = said(capsys, f"wmh2017:{folder}")
    assert code == 0
    assert "no mask" in text


def test_the_command_tells_alike_findings_once(tmp_path: Path, capsys):
    for number in range(7):
        (patient(tmp_path, number) / MASK).unlink()
    code, text = said(capsys, f"wmh2017:{tmp_path}")
    assert code == 0
    assert text.count("no mask") == 1
    assert "7 cases" in text


@pytest.mark.slow
def test_real_scans_are_sound(real_data: Path, tmp_path: Path):
    for subject in ("ms_simvent_104252", "ms_simvent_105074", "ms_simvent_105465"):
        folder = tmp_path / "Tabriz" / subject
        (folder / "pre").mkdir(parents=True)
        for stem, name in (("pre/FLAIR", "flair"), ("pre/T1", "t1"), ("wmh", "mask_wmh2")):
            (folder / f"{stem}.nii.gz").symlink_to(real_data / "brain" / subject / f"{name}.nii.gz")
    assert check(f"wmh2017:{tmp_path}") == ()


LESION = Labels(regions={"lesion": frozenset({1})})
TUMOUR = Labels(regions={"WT": frozenset({1, 2, 4}), "TC": frozenset({1, 4}), "ET": frozenset({4})})

SUBJECTS: dict[str, tuple[tuple[str, ...], Labels]] = {
    "ms_openms_p26": (("flair", "t1", "t1post", "t2"), LESION),
    "stroke_isles22_case9": (("dwi", "adc", "flair"), LESION),
    "glioma_brats2021_00006": (("t1", "t1ce", "t2", "flair"), TUMOUR),
    "tumor_t1c_brain1": (("t1ce",), LESION),
}


def real_case(real_data: Path, subject: str) -> Case:
    folder = real_data / "brain" / subject
    images = {name: folder / f"{name}.nii.gz" for name in SUBJECTS[subject][0]}
    return Case(id=subject, images=images, label=folder / "mask.nii.gz", group=subject)


@pytest.mark.slow
@pytest.mark.parametrize("subject", SUBJECTS)
def test_other_real_scans_are_sound(real_data: Path, subject: str):
    assert judge([real_case(real_data, subject)], SUBJECTS[subject][1]) == ()


@pytest.mark.slow
@pytest.mark.parametrize(("subject", "first", "second"), [
    ("ms_openms_p26", "flair", "t1"),
    ("stroke_isles22_case9", "dwi", "adc"),
])  # fmt: skip
def test_exchanged_modalities_of_real_scans_are_found(real_data: Path, subject: str, first: str, second: str):
    case = real_case(real_data, subject)
    exchanged = replace(case, images=case.images | {first: case.images[second], second: case.images[first]})
    findings = judge([exchanged], SUBJECTS[subject][1])
    assert "modalities-exchanged" in {finding.rule for finding in findings}


def test_a_dataset_without_any_lesion_is_warned_of(tmp_path: Path):
    cases = [
        Case(
            id=str(number),
            images={"flair": save(tmp_path / f"{number}.nii.gz", phantom(number)[0])},
            label=save(tmp_path / f"{number}_mask.nii.gz", np.zeros_like(phantom(number)[2])),
            group=str(number),
        )
        for number in range(2)
    ]
    found = {(finding.rule, finding.severity, finding.case) for finding in judge(cases, LABELS)}
    assert ("label-empty", "warning", "") in found
    assert ("label-empty", "warning", "") not in {
        (finding.rule, finding.severity, finding.case) for finding in judge(cases[:1], LABELS)
    }
