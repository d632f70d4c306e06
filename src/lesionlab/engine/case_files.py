"""Read the images and masks of a case, whatever kind of file they lie in."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Num

from lesionlab.core.case import Case, DataKind, Modality
from lesionlab.core.errors import ImageError, LayoutError
from lesionlab.core.grid import Grid
from lesionlab.core.labels import Labels
from lesionlab.engine.dicom_series import read_series
from lesionlab.engine.images import Image, as_label, read_image, read_label
from lesionlab.engine.pictures import ARRAY_ENDINGS, PICTURE_ENDINGS, read_array, read_picture

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

    Raises:
        ImageError: As `read_scan`.
        LabelError: A value is no whole number, where `labels` do not say above which number there is lesion.
        GridError: A further mask lies on another grid.
    """
    assert case.label is not None, "the case has a mask"
    first = _read_mask_file(case.label, case.label_part, labels)
    if not case.further_labels:
        return first
    values = first.array.copy()
    for path in case.further_labels:
        further = _read_mask_file(path, "", labels)
        advice = "resample the mask to the scan's grid (nearest neighbour)"
        first.grid.check_same(further.grid, mine=case.label, others=path, next_step=advice)
        values[(values == 0) & (further.array > 0)] = SECOND_LESION
    return replace(first, array=values)


def kind_of(cases: Sequence[Case]) -> DataKind:
    """Return what the images of a dataset are, as those of its first case show.

    Raises:
        ImageError: As `read_scan`.
    """
    modality = next(iter(cases[0].images))
    if cases[0].images[modality].suffix.lower() not in PICTURE_ENDINGS:
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

    Pictures and plain arrays do not say where they lie: their voxels are taken as 1 mm apart, columns from the
    patient's right to left and rows from front to back, as DICOM has them.

    Raises:
        ImageError: As `read_scan`.
    """
    if _is_nifti(path):
        return read_image(path, volume=int(part) if part else None)
    if path.is_dir():
        return read_series(path, part)
    is_picture = path.suffix.lower() in PICTURE_ENDINGS
    return _without_place(read_picture(path, part) if is_picture else read_array(path, part), path)


def _is_nifti(path: Path) -> bool:
    """Return whether a file is read as NIfTI: all are that nothing else is known of."""
    return path.suffix.lower() not in (*PICTURE_ENDINGS, *ARRAY_ENDINGS) and not path.is_dir()


def _read_mask_file(path: Path, part: str, labels: Labels) -> Image:
    if labels.lesion_above is not None:
        image = read_file(path, part)
        return replace(image, array=(image.array > labels.lesion_above).astype(np.int16))
    if _is_nifti(path):
        return read_label(path, volume=int(part) if part else None)
    return as_label(read_file(path, part), where=path)


def _without_place(array: Num[np.ndarray, "x y z"], path: Path) -> Image:
    values = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(values).all():
        raise ImageError(
            "finite values", found="NaN or infinite ones", where=path, next_step="repair or exclude this image"
        )
    shape = (values.shape[0], values.shape[1], values.shape[2])
    return Image(array=values, grid=Grid.of(shape, np.diag([-1.0, -1.0, 1.0, 1.0])), space_code=1)
