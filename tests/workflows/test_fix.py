"""A repaired copy passes the check, says what was changed, and leaves the dataset alone."""

import errno
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image as Picture
from test_check import FAULTS, FLAIR, MASK, T1, affine_with, patient, values
from tiny_training import AFFINE, SHAPE, save

from lesionlab.cli.main import main
from lesionlab.core.case import Case
from lesionlab.core.errors import LayoutError, OptionError, StorageError
from lesionlab.workflows.check import check
from lesionlab.workflows.fix import Fixed, fix
from lesionlab.workflows.repairing import Change, repair_case

CASE = Path("Utrecht") / "0"

REPAIRED = {
    "one slice less": "resampled to the first image (linear)",
    "another shape of the mask": "resampled to the first image (nearest neighbour)",
    "another spacing": "header aligned with the first image",
    "a shifted image": "resampled to the first image (linear)",
    "a shifted mask": "header aligned with the first image",
    "a turned image": "header aligned with the first image",
    "two transforms apart": "header written afresh",
    "a void rotation": "header written afresh",
    "another voxel size": "header written afresh",
    "metres": "header written afresh",
    "slope zero": "header written afresh",
    "slope not a number": "header written afresh",
    "a mask with a slope": "header written afresh",
    "a further axis": "header written afresh",
    "a fraction in the mask": "values rounded",
    "noise in the mask": "header written afresh",
}
"""Fault -> what the record says; the copy then holds every case."""

LEFT_OUT = {
    "a cut file", "no image at all", "a flipped byte", "four dimensions", "a broken link", "a slope that overflows",
    "a voxel that is no number", "an infinite voxel", "one value everywhere", "an unknown label", "a negative label",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in (0, 1):
        patient(tmp_path / "data", number)
    return tmp_path / "data"


def state_of(folder: Path) -> dict[Path, str]:
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def fixed(folder: Path) -> tuple[Fixed, Path]:
    before = state_of(folder)
    out = folder.parent / "fixed"
    done = fix(f"wmh2017:{folder}", out)
    assert state_of(folder) == before
    assert done.findings == check(f"wmh2017:{out}")
    return done, out


@pytest.mark.parametrize("name", REPAIRED)
def test_a_fault_is_repaired(folder: Path, name: str):
    FAULTS[name][2](folder / CASE)
    done, out = fixed(folder)
    assert done.findings == ()
    assert done.left_out == {}
    assert len(done.changes) == 1
    assert done.changes[0][0] == "Utrecht_0"
    assert REPAIRED[name] in done.changes[0][2]
    record = json.loads((out / "repairs.json").read_text())
    assert [tuple(change.values()) for change in record["changes"]] == list(done.changes)


@pytest.mark.parametrize("name", sorted(LEFT_OUT))
def test_a_case_that_cannot_be_repaired_is_left_out(folder: Path, name: str):
    FAULTS[name][2](folder / CASE)
    done, out = fixed(folder)
    assert done.findings == ()
    assert set(done.left_out) == {"Utrecht_0"}
    assert not list((out / CASE).rglob("*.nii.gz"))
    assert (out / "Utrecht" / "1" / MASK).read_bytes() == (folder / "Utrecht" / "1" / MASK).read_bytes()


@pytest.mark.parametrize("name", sorted(set(FAULTS) - set(REPAIRED) - LEFT_OUT))
def test_what_people_must_judge_is_copied_as_it_is(folder: Path, name: str):
    severity, rule, plant = FAULTS[name]
    plant(folder / CASE)
    done, out = fixed(folder)
    assert severity != "error"
    assert {finding.rule for finding in done.findings} == {rule}
    assert done.changes == ()
    assert {path.relative_to(out): digest for path, digest in state_of(out).items() if path.suffix == ".gz"} == {
        path.relative_to(folder): digest for path, digest in state_of(folder).items()
    }


def test_a_mask_on_a_finer_grid_keeps_its_lesions(folder: Path):
    mask = values(folder / CASE / MASK)
    fine = np.repeat(np.repeat(mask, 2, axis=0), 2, axis=1)
    affine = AFFINE @ np.diag([0.5, 0.5, 1, 1])
    affine[:3, 3] = (AFFINE @ [-0.25, -0.25, 0, 1])[:3]
    save(folder / CASE / MASK, fine, affine)
    _, out = fixed(folder)
    assert np.array_equal(values(out / CASE / MASK), mask)


def test_a_mask_that_lost_its_header_is_laid_on_the_scan(folder: Path):
    mask = values(folder / CASE / MASK)
    save(folder / CASE / MASK, mask, np.eye(4))
    done, out = fixed(folder)
    assert "header aligned" in done.changes[0][2]
    repaired = nibabel.load(out / CASE / MASK)
    assert np.array_equal(np.asarray(repaired.dataobj), mask)
    assert np.allclose(repaired.affine, AFFINE)


def test_a_mask_of_255_is_binarised(folder: Path):
    mask = values(folder / CASE / MASK)
    save(folder / CASE / MASK, mask * 255)
    done, out = fixed(folder)
    assert "binarised: 255 became 1" in done.changes[0][2]
    assert np.array_equal(values(out / CASE / MASK), mask)


def test_voxels_stay_what_they_were_under_a_fresh_header(folder: Path):
    FAULTS["two transforms apart"][2](folder / CASE)
    _, out = fixed(folder)
    assert np.array_equal(values(out / CASE / FLAIR), values(folder / CASE / FLAIR))
    assert (out / CASE / T1).read_bytes() == (folder / CASE / T1).read_bytes()


def test_a_patient_in_two_parts_stays_in_test(tmp_path: Path):
    folder = tmp_path / "data"
    training, test = patient(folder, 0, part="training"), patient(folder, 1, part="test")
    patient(folder, 2, part="training")
    save(training / T1, values(test / T1)[::-1])
    done, out = fixed(folder)
    assert set(done.left_out) == {"Utrecht_0"}
    assert done.findings == ()
    assert (out / "test" / "Utrecht" / "1" / T1).exists()


def break_case(monkeypatch: pytest.MonkeyPatch, error: BaseException, *, case_id: str) -> list[str]:
    """Let the repair of one case fail after its files are written; return a list of the cases that are repaired."""
    repaired: list[str] = []

    def repair_or_fail(case: Case, *arguments: object, **options: object) -> Iterator[Change]:
        repaired.append(case.id)
        yield from repair_case(case, *arguments, **options)
        if case.id == case_id:
            raise error

    monkeypatch.setattr("lesionlab.workflows.fix.repair_case", repair_or_fail)
    return repaired


def test_an_unforeseen_error_is_that_of_its_case_and_leaves_no_old_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    for number in "01":
        FAULTS["a shifted image"][2](folder / "Utrecht" / number)
    _, out = fixed(folder)
    assert (out / CASE / T1).exists()
    save(folder / CASE / T1, values(folder / CASE / T1) * 2, affine_with(shift_mm=3))
    repaired = break_case(monkeypatch, ZeroDivisionError("division by zero"), case_id="Utrecht_0")
    with pytest.raises(SystemExit) as ended:
        main(["check", f"wmh2017:{folder}", "--fix", str(out)])
    assert ended.value.code == 1
    assert repaired == ["Utrecht_0"]
    assert "failed: Utrecht_0: unexpected ZeroDivisionError: division by zero" in capsys.readouterr().out
    assert not list((out / CASE).rglob("*.nii.gz"))
    assert (out / "Utrecht" / "1" / T1).exists()
    record = json.loads((out / "repairs.json").read_text())
    assert [excluded["case"] for excluded in record["left_out"]] == ["Utrecht_0"]
    assert {change["case"] for change in record["changes"]} == {"Utrecht_1"}


def test_an_interrupted_repair_is_resumed(folder: Path, monkeypatch: pytest.MonkeyPatch):
    for number in "01":
        FAULTS["a shifted image"][2](folder / "Utrecht" / number)
    out = folder.parent / "fixed"
    break_case(monkeypatch, KeyboardInterrupt(), case_id="Utrecht_1")
    with pytest.raises(KeyboardInterrupt):
        fix(f"wmh2017:{folder}", out)
    repaired = break_case(monkeypatch, AssertionError(), case_id="none")
    done, _ = fixed(folder)
    assert repaired == ["Utrecht_1"]
    assert done.findings == ()
    assert [change[0] for change in done.changes] == ["Utrecht_0", "Utrecht_1"]


def test_a_full_disk_stops_the_repair(folder: Path, monkeypatch: pytest.MonkeyPatch):
    repaired = break_case(monkeypatch, OSError(errno.ENOSPC, "No space left on device"), case_id="Utrecht_0")
    with pytest.raises(StorageError, match="No space left"):
        fix(f"wmh2017:{folder}", folder.parent / "fixed")
    assert repaired == ["Utrecht_0"]


def test_a_repair_of_other_content_is_done_again(folder: Path):
    FAULTS["a shifted image"][2](folder / CASE)
    first, out = fixed(folder)
    assert first.changes
    save(folder / CASE / T1, values(folder / CASE / FLAIR))
    again, _ = fixed(folder)
    assert again.changes == ()
    assert (out / CASE / T1).read_bytes() == (folder / CASE / T1).read_bytes()


def test_other_files_come_along(folder: Path):
    (folder / "README.txt").write_text("as it was")
    (folder / ".hidden").write_text("not needed")
    _, out = fixed(folder)
    assert (out / "README.txt").read_text() == "as it was"
    assert not (out / ".hidden").exists()


def test_it_can_be_repeated(folder: Path):
    FAULTS["a shifted image"][2](folder / CASE)
    first, out = fixed(folder)
    before = state_of(out)
    again, _ = fixed(folder)
    assert again == first
    assert state_of(out) == before


@pytest.mark.parametrize("place", ["data", "data/fixed", "taken", "taken/file"])
def test_where_nothing_may_be_written(folder: Path, place: str):
    (folder.parent / "taken").mkdir()
    (folder.parent / "taken" / "file").write_text("mine")
    before = state_of(folder.parent)
    with pytest.raises(OptionError, match="a new folder outside the dataset"):
        fix(f"wmh2017:{folder}", folder.parent / place)
    assert state_of(folder.parent) == before


def msd(folder: Path, *, shift_mm: float = 0.0) -> Path:
    """Write two cases of three volumes in one file, of which two have names, with a doubtful header."""
    doubtful = AFFINE.copy()
    doubtful[0, 3] += 3
    for number in (0, 1):
        volumes = np.random.default_rng(number).normal(100, 10, (*SHAPE, 3)).astype(np.float32)
        image = nibabel.Nifti1Image(volumes, AFFINE)
        image.set_sform(AFFINE, 1)
        image.set_qform(doubtful, 1)
        (folder / "imagesTr").mkdir(parents=True, exist_ok=True)
        nibabel.save(image, folder / "imagesTr" / f"c{number}.nii.gz")
        mask = np.zeros(SHAPE, np.uint8)
        mask[10:14, 10:14, 1:3] = 1
        save(folder / "labelsTr" / f"c{number}.nii.gz", mask, affine_with(shift_mm=shift_mm))
    listed = [{"image": f"imagesTr/c{number}.nii.gz", "label": f"labelsTr/c{number}.nii.gz"} for number in (0, 1)]
    described = {
        "modality": {"0": "FLAIR", "1": "T1"},
        "labels": {"0": "background", "1": "lesion"},
        "training": listed,
    }
    (folder / "dataset.json").write_text(json.dumps(described))
    return folder


def test_a_file_of_several_volumes_is_changed_as_a_whole(tmp_path: Path):
    data = msd(tmp_path / "data")
    done = fix(f"msd:{data}", tmp_path / "fixed")
    assert not done.left_out
    assert not [finding for finding in done.findings if finding.severity == "error"]
    assert [change[:2] for change in done.changes] == [(f"c{n}", f"imagesTr/c{n}.nii.gz") for n in (0, 1)]
    for number in (0, 1):
        before, after = (
            nibabel.load(folder / "imagesTr" / f"c{number}.nii.gz") for folder in (data, tmp_path / "fixed")
        )
        assert np.array_equal(np.asarray(after.dataobj), np.asarray(before.dataobj))
        assert np.allclose(after.get_qform(), before.get_sform())


PICTURE = (40, 48)


def pictures(folder: Path, mask_size: tuple[int, int], *, ending: str = ".png") -> Path:
    for name in ("a", "b"):
        for kind, size in (("images", PICTURE), ("masks", PICTURE if name == "b" else mask_size)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            drawn = np.zeros(size[::-1], np.uint8)
            drawn[10:20, 10:20] = 255
            noise = np.random.default_rng(ord(name)).integers(0, 255, (*size[::-1], 3), np.uint8)
            picture = Picture.fromarray(drawn if kind == "masks" else noise)
            picture.save(folder / kind / f"{name}{ending if kind == 'masks' else '.png'}")
    return folder


@pytest.mark.parametrize("ending", [".png", ".bmp", ".tif", ".jpg"])
@pytest.mark.parametrize("size", [(39, 47), (41, 48), (40, 58)])
def test_a_mask_a_few_pixels_off_is_brought_to_its_picture(tmp_path: Path, size: tuple[int, int], ending: str):
    data = pictures(tmp_path / "data", size, ending=ending)
    done = fix(f"image_mask:{data}", tmp_path / "fixed")
    assert not done.left_out
    assert not [finding for finding in done.findings if finding.severity == "error"]
    assert f"resized from {size[0]}x{size[1]} to 40x48" in done.changes[0][2]
    mask = np.asarray(Picture.open(tmp_path / "fixed" / "masks" / f"a{ending}")) > 127
    assert mask.shape == PICTURE[::-1]
    assert 80 <= mask.sum() <= 140


def test_a_mask_of_quite_another_size_is_left_out(tmp_path: Path):
    done = fix(f"image_mask:{pictures(tmp_path / 'data', (20, 24))}", tmp_path / "fixed")
    assert set(done.left_out) == {"a"}
    assert "cannot be repaired" in done.left_out["a"]


def test_nothing_left_is_said(tmp_path: Path):
    data = pictures(tmp_path / "data", (20, 24))
    for kind in ("images", "masks"):
        (data / kind / "b.png").unlink()
    with pytest.raises(LayoutError, match="none of 1; the first, a"):
        fix(f"image_mask:{data}", tmp_path / "fixed")


def test_the_command(folder: Path, capsys: pytest.CaptureFixture[str]):
    case = folder / CASE
    save(case / T1, values(case / T1), affine_with(shift_mm=5))
    save(folder / "Utrecht" / "1" / T1, np.zeros(SHAPE, np.float32))
    out = folder.parent / "fixed"
    with pytest.raises(SystemExit) as ended:
        main(["check", f"wmh2017:{folder}", "--fix", str(out), "--json", str(folder.parent / "findings.json")])
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert "changed: Utrecht_0" in said
    assert "left out: Utrecht_1" in said
    assert str(out / "repairs.json") in said
    assert json.loads((folder.parent / "findings.json").read_text())["counts"]["error"] == 0
