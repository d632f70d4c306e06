"""A patient's visit as files: nothing loaded."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

from lesionlab.core.content_key import file_digest, key_of
from lesionlab.core.names import check_name

Modality: TypeAlias = str
"""The name of an imaging sequence or channel: flair, t1, t1ce, t2, dwi, adc, ct, rgb, ..."""

Split: TypeAlias = Literal["training", "validation", "test"]

DataKind: TypeAlias = Literal["volume", "picture"]
"""What images are: volumes with a place in the patient and spacing in mm, or plain pictures (photographs, endoscopy),
which have neither sides nor millimetres."""

SIZE_UNITS: dict[DataKind, str] = {"volume": "mm3", "picture": "px"}
"""In what the size of a lesion is told; pixels of pictures count as 1 mm wide and thick wherever it is computed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One set of images of one patient at one time.

    Attributes:
        id: Unique within its folder; used to name output files.
        images: Path of the image of each modality; a folder for a DICOM series.
        label: Path of the reference mask, or None where there is none.
        group: What must never be divided between training and test: the patient.
        site: Where it was acquired, or an empty string.
        split: What it is for, as the dataset says (see `lesionlab.core.split_rule`), or None where nothing says it.
        is_sealed: Whether it is a test case whose every evaluation is counted.
        split_by_fold: Whether the dataset has folds, and the chosen one says what this case is for; a split file may
            say it anew. With the split None, the case is in neither list of that fold and is not learned from.
        parts: For a modality whose file holds several images, which of them: the number of a picture's channel ("0"),
            the key of an array file ("image"), a key and the number of its axial slice ("image/12"), or, of a folder
            with several DICOM series, the one that is meant ("1.2.840.7", "1.2.840.7/b1000").
        label_part: As in `parts`, of the mask's file.
        further_labels: Masks of further lesions beside `label` (ATLAS): their union has the stored value 2 where
            `label` does not mark 1.
        brain_mask: Where the brain is, on the voxels of the first image, or None where the dataset does not say.
        category: What the whole case shows ("healthy", "glioma"), or None where nobody said.
        visit: When the images were made: a date (2024-05-01), or any text that sorts as visits follow each other. Empty
            where nobody says; then visits follow each other as ids do.
        image_names: For a modality whose file says little, what people call the image: "series 3 (t2_flair)". Part
            of no content key, as `notes`.
        notes: What the layout found beside the images and left alone, and why, one short sentence each: "series 7
            (mpr iso) is not used: no known modality". For people to read.
    """

    id: str
    images: dict[Modality, Path]
    label: Path | None
    group: str
    site: str = ""
    split: Split | None = None
    is_sealed: bool = False
    split_by_fold: bool = False
    parts: dict[Modality, str] = field(default_factory=dict)
    label_part: str = ""
    further_labels: tuple[Path, ...] = ()
    brain_mask: Path | None = None
    category: str | None = None
    visit: str = ""
    image_names: dict[Modality, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse names that would lead a file out of its folder.

        Raises:
            UnsafeNameError: The id, a modality or the category cannot be part of a file's name.
        """
        where = next((str(path.parent) for path in self.images.values()), "a case")
        check_name(self.id, what="a case", where=where)
        for modality in self.images:
            check_name(modality, what="a modality", where=where)
        if self.category is not None:
            check_name(self.category, what="a category", where=where)

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file of the case once: images in their order, then masks, that of the brain last."""
        masks = (self.label, *self.further_labels, self.brain_mask)
        return tuple(dict.fromkeys((*self.images.values(), *(path for path in masks if path is not None))))

    def content_key(self, modalities: Sequence[Modality], *, settings: Any, with_reference: bool = True) -> str:
        """Return 16 hexadecimal digits for the content of the case: which bytes play which role, under which settings.

        Each modality asked for counts with its name, the bytes of its file or DICOM folder and the channel in `parts`;
        the reference mask, the further masks and the brain mask count in their own roles. Names and places of files do
        not count, nor do modalities that were not asked for.

        Args:
            modalities: In the order in which they are used; one that the case lacks counts as absent.
            settings: Whatever else decides the result, as `lesionlab.core.content_key.key_of` reads it: declared
                labels, preprocessing, weights.
            with_reference: False where the result must not depend on the reference mask, as a prediction.
        """
        digest = cache(file_digest)
        shown = [
            (name, digest(self.images[name]), self.parts.get(name, "")) for name in modalities if name in self.images
        ]
        reference = [
            [digest(path) for path in (self.label,) if path],
            self.label_part,
            *map(digest, self.further_labels),
        ]
        brain = [digest(path) for path in (self.brain_mask,) if path]
        return key_of([settings, list(modalities), shown, reference if with_reference else None, brain])
