"""Read the images and masks of a case, whatever kind of file they lie in."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Num

from lesionlab.core.case import Case, DataKind, Modality
from lesionlab.core.errors import LayoutError
from lesionlab.core.grid import Grid
from lesionlab.core.image_formats import (
    ARRAY_ENDINGS,
    PICTURE_ENDINGS,
    READ_FORMATS,
    VOLUME_ENDINGS,
    ending_of,
    is_picture,
)
from lesionlab.core.labels import Labels
from lesionlab.engine.array_files import read_array
from lesionlab.engine.dicom_series import read_series
from lesionlab.engine.images import read_image, read_label
from lesionlab.engine.itk_files import read_itk
from lesionlab.engine.pictures import read_mask_picture, read_picture, read_spacing_mm
from lesionlab.engine.regular_file import check_regular
from lesionlab.engine.volume import Image, error_of, finite_float32

Kind: TypeAlias = Literal["nifti", "nrrd", "metaimage", "picture", "array", "dicom"]

_SIGNATURES: tuple[tuple[Kind, re.Pattern[bytes]], ...] = (
    ("nrrd", re.compile(rb"NRRD000")),
    (
        "picture",
        re.compile(
            rb"\x89PNG|\xff\xd8\xff|II\*\0|MM\0\*|II\+\0|MM\0\+|GIF8|RIFF....WEBP|BM.{12}[\x0c\x28\x6c\x7c]", re.DOTALL
        ),
    ),
    ("array", re.compile(rb"\x89HDF|PK\x03\x04|\x93NUMPY")),
    ("metaimage", re.compile(rb"\s*(ObjectType|NDims|Comment) *=")),
    ("nifti", re.compile(rb"\x5c\x01\0\0|\0\0\x01\x5c|\x1c\x02\0\0|\0\0\x02\x1c|\x1f\x8b|\0\0\0\x01")),
)
"""How the content of each kind of file begins: it counts more than the ending, which may be wrong."""

_KIND_OF_ENDING: dict[str, Kind] = {
    **dict.fromkeys(VOLUME_ENDINGS, "nifti"),
    **dict.fromkeys(PICTURE_ENDINGS, "picture"),
    **dict.fromkeys(ARRAY_ENDINGS, "array"),
    **dict.fromkeys((".nrrd", ".nhdr"), "nrrd"),
    **dict.fromkeys((".mha", ".mhd"), "metaimage"),
    ".img": "nifti",
}

SECOND_LESION = 2
"""Stored value of what only the further masks of a case mark."""


def read_scan(case: Case, modality: Modality) -> Image:
    """Read the image of one modality.

    Raises:
        ImageError: The file is missing, damaged, of no known kind, or holds something else than finite numbers.
    """
    return read_file(case.images[modality], case.parts.get(modality, ""))


def read_mask(case: Case, labels: Labels) -> Image:
    """Read a case's reference mask, further masks included; values that nobody declared are not refused here.

    Where `labels` know the stored value 2 of further lesions, that is what only a further mask marks; else all masks
    are joined, the first one going before the others.

    Raises:
        ImageError: As `read_scan`.
        LabelError: A value is no whole number, where `labels` do not say above which number there is lesion.
        GridError: A further mask lies on another grid.
    """
    assert case.label is not None, "the case has a mask"
    first = read_mask_file(case.label, labels, part=case.label_part)
    if not case.further_labels:
        return first
    values = first.array
    for path in case.further_labels:
        further = read_mask_file(path, labels)
        advice = "resample the mask to the scan's grid (nearest neighbour)"
        first.grid.check_same(further.grid, mine=case.label, others=path, next_step=advice)
        marked = SECOND_LESION if SECOND_LESION in labels.values else further.array
        values = np.where((values == 0) & (further.array > 0), marked, values).astype(np.int16)
    return replace(first, array=values)


def kind_of(cases: Sequence[Case]) -> DataKind:
    """Return what the images of a dataset are, as those of its first case show.

    Raises:
        ImageError: As `read_scan`.
    """
    modality = next(iter(cases[0].images))
    if not is_picture(cases[0].images[modality]):
        return "volume"
    return "picture" if read_scan(cases[0], modality).grid.shape[2] == 1 else "volume"


def read_brain_mask(case: Case) -> Image:
    """Read where a case's brain is: 1 there, 0 elsewhere.

    Raises:
        LayoutError: The dataset does not say.
        ImageError: As `read_scan`.
    """
    if case.brain_mask is None:
        raise LayoutError(
            "a mask of the brain",
            found="none, or several to choose from",
            where=f"case {case.id}",
            next_step="add it (docs/layouts.md), or do without: --change preprocessing.foreground=above_background",
        )
    image = read_file(case.brain_mask)
    return replace(image, array=(image.array > 0).astype(np.int16))


def read_file(path: Path, part: str = "") -> Image:
    """Read one image file, or one series of DICOM files.

    Pictures and plain arrays do not say where they lie: their voxels are taken as 1 mm apart (a stack of pages may say
    otherwise, see `read_spacing_mm`), columns from the patient's right to left and rows from front to back, as DICOM
    has them.

    Raises:
        ImageError: As `read_scan`.
    """
    kind = format_of(path)
    if kind == "dicom":
        return read_series(path, part)
    if kind == "nifti":
        return read_image(path, volume=_volume(path, part))
    if kind in ("nrrd", "metaimage"):
        return read_itk(path, kind=kind, volume=_volume(path, part))
    values = read_picture(path, part) if kind == "picture" else read_array(path, part)
    return _without_place(values, path)


def read_mask_file(path: Path, labels: Labels, *, part: str = "") -> Image:
    """Read one file of a mask, reference or predicted, as stored values; those that nobody declared are not refused.

    Raises:
        ImageError: As `read_scan`.
        LabelError: A value is no whole number, where `labels` do not say above which number there is lesion.
    """
    kind = format_of(path)
    if kind == "nifti" and labels.lesion_above is None:
        image = read_label(path, volume=_volume(path, part))
    elif kind == "picture":
        colours = labels.values_of_colours if labels.colours else {}
        image = _without_place(read_mask_picture(path, part, colours=colours), path)
        if colours:
            return replace(image, array=image.array.astype(np.int16))
    else:
        image = read_file(path, part)
    return replace(
        image, array=labels.as_stored(image.array, where=path, source="picture" if kind == "picture" else "volume")
    )


def format_of(path: Path) -> Kind:
    """Return what kind of image a path leads to, by its content first and its ending second; a folder is DICOM.

    Raises:
        ImageError: It is no regular file, or of a kind that is not read.
    """
    if path.is_dir():
        return "dicom"
    check_regular(path)
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        found = str(error.strerror or error)
        raise error_of(path, "a readable file", found, "check the path and rights") from error
    by_ending = _KIND_OF_ENDING.get(ending_of(path) or path.suffix.lower())
    if ending_of(path) in (".hdr",) or path.suffix.lower() == ".img":
        return "nifti"
    by_content = next((kind for kind, pattern in _SIGNATURES if pattern.match(head)), None)
    kind = by_content or by_ending
    if kind is None:
        found = f"a file {path.suffix or 'without an ending'} of another kind"
        raise error_of(path, f"an image that is read: {READ_FORMATS}", found, "convert it to .nii.gz")
    return kind


def _volume(path: Path, part: str) -> int | None:
    if part and not part.isdigit():
        raise error_of(path, "a number of a volume", repr(part), "correct the parts of the case")
    return int(part) if part else None


def _without_place(array: Num[np.ndarray, "x y z"], path: Path) -> Image:
    values = finite_float32(np.ascontiguousarray(array, dtype=np.float32), path=path)
    x, y, z = read_spacing_mm(path)
    shape = (values.shape[0], values.shape[1], values.shape[2])
    return Image(array=values, grid=Grid.of(shape, np.diag([-x, -y, z, 1.0])), space_code=1)
