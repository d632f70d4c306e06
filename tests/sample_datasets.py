"""A small complete dataset of every layout, in the names that real copies of it have."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import nibabel
import numpy as np

from lesionlab.core.case import Modality


@dataclass(frozen=True, kw_only=True)
class Sample:
    """How tests/test_all_layouts.py makes a dataset of one layout, and what it must allow there.

    Attributes:
        build: Writes at least three complete cases into a folder, as files with one of `endings`.
        endings: Every ending that the layout takes for images.
        twins: Two endings that one image may have by mistake, which nobody could tell apart; none where it cannot.
        has_own_masks: Whether a mask is a file of its own that a case may lack.
        may_lack: Modalities any one of which a case may lack: it then has the others.
        also_takes: Other layouts whose datasets it reads too, and rightly.
    """

    build: Callable[[Path, str], None]
    endings: tuple[str, ...] = (".nii", ".nii.gz")
    twins: tuple[str, str] | None = (".nii", ".nii.gz")
    has_own_masks: bool = True
    may_lack: frozenset[Modality] = frozenset()
    also_takes: frozenset[str] = frozenset()


def touch(folder: Path, *names: str) -> None:
    """Make empty files, for what only looks at names."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4)), path)


def build_wmh2017(folder: Path, ending: str) -> None:
    for case in ("training/Utrecht/2", "training/Utrecht/10", "test/Amsterdam/GE3T/100"):
        for name in ("pre/FLAIR", "pre/T1", "wmh"):
            write(folder / case / (name + ending))


def build_wmh_split(folder: Path, ending: str) -> None:
    for part, case in (("train/training", "2"), ("train/validation", "10"), ("test/train", "100")):
        for name, modality in (("flair", "flair"), ("t1", "t1"), ("Ground Truth", "wmh")):
            write(folder / part / name / f"{case}_{modality}{ending}")


def build_isles2022(folder: Path, ending: str) -> None:
    for number in (2, 10, 100):
        subject = f"sub-strokecase{number}"
        stem = f"{subject}_ses-0001"
        for modality in ("dwi", "adc"):
            write(folder / subject / "ses-0001" / "dwi" / f"{stem}_{modality}{ending}")
        write(folder / subject / "ses-0001" / "anat" / f"{stem}_FLAIR{ending}")
        write(folder / "derivatives" / subject / "ses-0001" / f"{stem}_msk{ending}")


def build_brats(folder: Path, ending: str) -> None:
    for case in ("BraTS2021_00002", "BraTS2021_00010", "BraTS2021_00100"):
        for name in ("t1ce", "t1", "flair", "t2", "seg"):
            write(folder / case / f"{case}_{name}{ending}")


def build_brain_mets(folder: Path, ending: str) -> None:
    for case in ("YG_2", "YG_10", "YG_100"):
        for name in ("t1ce_img", "flair_img", "core_seg", "whole_seg"):
            write(folder / case / f"{case}_{name}{ending}")


def build_atlas_r1(folder: Path, ending: str) -> None:
    for site, patient, session in (("Site1", "031768", "t01"), ("Site8", "031871", "t01"), ("Site8", "031871", "t02")):
        for name in ("t1w_deface", "LesionSmooth"):
            write(folder / site / patient / session / f"{patient}_{name}_stx{ending}")
    write(folder / "Site8/031871/t02" / f"031871_LesionSmooth_1_stx{ending}")


def build_atlas_r2(folder: Path, ending: str) -> None:
    for part, cohort, subject in (
        ("Training", "R001", "sub-r001s001"),
        ("Training", "R009", "sub-r009s002"),
        ("Testing", "R003", "sub-r003s010"),
    ):
        stem = f"{subject}_ses-1_space-MNI152NLin2009aSym"
        for name in ("T1w", "label-L_desc-T1lesion_mask"):
            write(folder / part / cohort / subject / "ses-1" / "anat" / f"{stem}_{name}{ending}")


def build_synapse_ct(folder: Path, ending: str) -> None:
    for name, shape in (("case0005_slice002", (4, 5)), ("case0005_slice010", (4, 5))):
        (folder / "train_npz").mkdir(parents=True, exist_ok=True)
        np.savez(folder / "train_npz" / f"{name}.npz", image=np.zeros(shape, np.float32), label=np.zeros(shape))
    (folder / "test_vol_h5").mkdir()
    with h5py.File(folder / "test_vol_h5" / f"case0001{ending}", "w") as file:
        file["image"] = file["label"] = np.zeros((3, 4, 5), np.float32)


SAMPLES: dict[str, Sample] = {
    "atlas_r1": Sample(build=build_atlas_r1),
    "atlas_r2": Sample(build=build_atlas_r2),
    "brain_mets": Sample(
        build=build_brain_mets, may_lack=frozenset({"t1ce", "flair"}), also_takes=frozenset({"brats"})
    ),  # its images are known by a part of their names, which those of BraTS have too
    "brats": Sample(build=build_brats),
    "isles2022": Sample(build=build_isles2022),
    "synapse_ct": Sample(
        build=build_synapse_ct, endings=(".npy.h5", ".h5"), twins=(".npy.h5", ".h5"), has_own_masks=False
    ),
    "wmh2017": Sample(build=build_wmh2017),
    "wmh_split": Sample(build=build_wmh_split),
}
"""One entry per layout; a new layout joins by a builder and a line here."""
