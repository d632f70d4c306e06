"""A patient's visit as files: nothing loaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

Modality: TypeAlias = str
"""The name of an imaging sequence or channel: flair, t1, t1ce, t2, dwi, adc, ct, rgb, ..."""

Split: TypeAlias = Literal["training", "validation", "test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One set of images of one patient at one time.

    Attributes:
        id: Unique within its folder; used to name output files.
        images: Path of the image of each modality.
        label: Path of the reference mask, or None where there is none.
        group: What must never be divided between training and test: the patient.
        site: Where it was acquired, or an empty string.
        split: The part that the dataset's authors gave it to, or None.
    """

    id: str
    images: dict[Modality, Path]
    label: Path | None
    group: str
    site: str = ""
    split: Split | None = None
