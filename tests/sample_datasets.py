"""A small complete dataset of every layout, in the names that real copies of it have."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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
        may_lack: Modalities that a case may lack: it then has the others.
        also_takes: Other layouts whose datasets it reads too, and rightly.
    """

    build: Callable[[Path, str], None]
    endings: tuple[str, ...] = (".nii", ".nii.gz")
    twins: tuple[str, str] | None = (".nii", ".nii.gz")
    has_own_masks: bool = True
    may_lack: frozenset[Modality] = frozenset()
    also_takes: frozenset[str] = frozenset()


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


SAMPLES: dict[str, Sample] = {
    "wmh2017": Sample(build=build_wmh2017),
    "wmh_split": Sample(build=build_wmh_split),
}
"""One entry per layout; a new layout joins by a builder and a line here."""
