"""A volume in memory, and what every reader of one refuses alike."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32, Int16, Num

from lesionlab.core.errors import ImageError
from lesionlab.core.grid import Grid

MAXIMUM_VOXELS: Final = 2**31
"""Larger images are refused before anything is allocated; the largest real volumes hold 1.3e9 voxels."""

TRAILER_BYTES: Final = 2**20
"""How much may follow the voxels: some writers pad their files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """Voxels and where they lie.

    Attributes:
        array: (x, y, z) as stored on disk, scaled.
        grid: Shape and affine of the file.
        space_code: The NIfTI code of the space that the affine leads to (1: scanner, 4: MNI), copied to outputs.
    """

    array: Float32[np.ndarray, "x y z"] | Int16[np.ndarray, "x y z"]
    grid: Grid
    space_code: int


def judge_shape(shape: tuple[int, ...], *, path: Path, volumes: int = 0) -> int:
    """Return how many voxels a shape has; refuse what is not one image of a sensible size.

    Args:
        shape: As the header has it; empty axes at its end do not count.
        path: Named in messages.
        volumes: How many there must be at least along a fourth axis; 0 wants three axes.

    Raises:
        ImageError: Too many or too few axes or volumes, an empty axis, or more than `MAXIMUM_VOXELS`.
    """
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if volumes and len(shape) == 4 and shape[3] < volumes:
        next_step = "correct the modalities, or give another file"
        raise error_of(path, f"at least {volumes} volumes", f"{shape[3]}", next_step)
    if len(shape) not in ((3, 4) if volumes else (3,)) or min(shape) < 1 or (len(shape) == 3 and volumes > 1):
        raise error_of(path, "a 3-D image", f"{len(shape)} dimensions {shape}", "give one volume per file")
    return judge_size(shape, path=path)


def judge_size(shape: tuple[int, ...], *, path: Path) -> int:
    """Return how many voxels a shape has.

    Raises:
        ImageError: More than `MAXIMUM_VOXELS`.
    """
    voxels = int(np.prod(shape, dtype=np.float64))
    if voxels > MAXIMUM_VOXELS:
        raise error_of(path, f"at most {MAXIMUM_VOXELS} voxels", f"{voxels} by the header", "crop or resample it")
    return voxels


def finite_float32(values: Num[np.ndarray, "x y z"], *, path: Path) -> Float32[np.ndarray, "x y z"]:
    """Return voxels as float32.

    Raises:
        ImageError: Some are NaN or infinite, or become so.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is reported below
        array: Float32[np.ndarray, "x y z"] = np.asarray(values, dtype=np.float32)
    bad = array.size - int(np.count_nonzero(np.isfinite(array)))
    if bad:
        raise error_of(path, "finite voxel values", f"{bad} NaN or infinite voxels", "repair or exclude this image")
    return array


def error_of(path: Path, wanted: str, found: str, next_step: str) -> ImageError:
    """Return the refusal of an image file."""
    return ImageError(wanted, found=found, where=path, next_step=next_step)
