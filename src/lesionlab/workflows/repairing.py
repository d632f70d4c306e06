"""What can be done about the faults of one case: new files for those that have to change, and words for a record."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int16

from lesionlab.core.case import Case
from lesionlab.core.errors import ImageError, LabelError
from lesionlab.core.grid import TOLERANCE_MM, Grid
from lesionlab.core.labels import Labels
from lesionlab.engine.case_files import read_file, read_scan
from lesionlab.engine.images import Image
from lesionlab.layouts.image_files import ENDINGS
from lesionlab.transforms.geometry import reorient, to_working

HEADER_RULES = frozenset({"transforms", "voxel-size", "units", "slope", "mask-slope", "further-axes", "label-noise"})
"""Faults that a fresh header, or voxels stored as they are read, put right."""

FAR_SHARE = 0.5
"""Where a mask's header takes more of its lesion than this out of the scan, the header is wrong, not the voxels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One file that a repair changes.

    Attributes:
        case: The id of its case.
        file: Where it lay.
        what: What was done, in words.
        image: What is to be written in its place.
    """

    case: str
    file: Path
    what: str
    image: Image


def repair_case(case: Case, labels: Labels, *, headers: Collection[Path]) -> Iterator[Change]:
    """Yield the files of a case that have to change, so that all lie on the grid of the first image.

    Args:
        case: Its files; only NIfTI files are changed.
        labels: The stored values that its masks may hold.
        headers: Files whose headers are to be written afresh in any case.

    Raises:
        ImageError: An image cannot be read, or has nothing on the grid of the first.
        LabelError: A mask holds values that nobody can interpret.
    """
    scan = read_scan(case, next(iter(case.images)))
    for modality, path in case.images.items():
        image = read_scan(case, modality)
        yield from _repair(case, path, image, scan=scan, order=1, done="", headers=headers)
    masks = () if case.label is None else (case.label, *case.further_labels)
    for path in masks:
        stored = read_file(path, case.label_part if path == case.label else "")
        values, done = _whole_labels(stored.array, labels, where=path)
        mask = replace(stored, array=values)
        yield from _repair(case, path, mask, scan=scan, order=0, done=done, headers=headers)


def _repair(
    case: Case, path: Path, image: Image, *, scan: Image, order: int, done: str, headers: Collection[Path]
) -> Iterator[Change]:
    if not path.name.endswith(ENDINGS):
        return
    image, placed = _place(image, scan, order=order, where=path)
    words = [word for word in (done, placed) if word]
    if path in headers:
        words.append("header written afresh from the affine and values that are read")
    if words:
        fresh = Image(array=_compact(image.array), grid=image.grid, space_code=scan.space_code)
        yield Change(case=case.id, file=path, what="; ".join(words), image=fresh)


def _place(image: Image, scan: Image, *, order: int, where: Path) -> tuple[Image, str]:
    """Return an image on the grid of the scan, and what was done; axes that run another way are left so."""
    distance_mm = image.grid.canonical().distance_mm(scan.grid.canonical())
    if distance_mm <= TOLERANCE_MM:
        return image, ""
    aligned = replace(image, grid=scan.grid)
    has_shape = image.grid.shape == scan.grid.shape
    if has_shape and (_is_lost(image.grid) or image.grid.distance_mm(scan.grid) < min(scan.grid.spacing_mm)):
        return aligned, f"header aligned with the first image (voxels kept, {distance_mm:.3g} mm apart before)"
    values = to_working(image.array, image.grid, working=scan.grid.canonical(), order=order)
    values = reorient(values, source=scan.grid.canonical(), target=scan.grid)
    is_far = _volume_mm3(values, scan.grid) < FAR_SHARE * _volume_mm3(image.array, image.grid)
    if order == 0 and has_shape and is_far:
        return aligned, "header aligned with the first image (its own leads most of the lesion out of the scan)"
    if order == 1 and values.min() == values.max():
        raise ImageError(
            "an image that overlaps the first one", found="no overlap", where=where, next_step="register it"
        )
    how = "nearest neighbour" if order == 0 else "linear"
    return Image(array=values, grid=scan.grid, space_code=scan.space_code), f"resampled to the first image ({how})"


def _whole_labels(
    stored: Float32[np.ndarray, "x y z"] | Int16[np.ndarray, "x y z"], labels: Labels, *, where: Path
) -> tuple[Int16[np.ndarray, "x y z"], str]:
    """Return declared values, and what was done to get them.

    Raises:
        LabelError: Rounding does not lead to declared values, and there is more than one value or region.
    """
    regions = list(labels.regions.values())
    if labels.lesion_above is not None:
        return np.where(stored > labels.lesion_above, 1, 0).astype(np.int16), ""
    rounded = np.rint(stored)
    values = set(np.unique(rounded).tolist())
    if values <= set(labels.values):
        noise = float(np.abs(stored - rounded).max(initial=0))
        return rounded.astype(np.int16), f"values rounded (by up to {noise:.2g})" if noise > 1e-3 else ""
    positive = values - {0}
    if len(positive) == 1 and min(positive) > 0 and len(regions) == 1:
        (value,) = positive
        lesion = min(regions[0])
        return np.where(stored > value / 2, lesion, 0).astype(np.int16), f"binarised: {value:g} became {lesion}"
    raise LabelError(
        f"label values among {sorted(labels.values)}",
        found=f"{sorted(values)[:8]}",
        where=where,
        next_step="correct the mask by hand",
    )


def _is_lost(grid: Grid) -> bool:
    """Tell whether an affine is that of a file without one: voxel numbers taken for mm."""
    return bool(np.allclose(np.abs(grid.matrix), np.eye(4)))


def _volume_mm3(values: Float32[np.ndarray, "x y z"] | Int16[np.ndarray, "x y z"], grid: Grid) -> float:
    return float(np.count_nonzero(values)) * grid.voxel_volume_mm3


def _compact(
    array: Float32[np.ndarray, "x y z"] | Int16[np.ndarray, "x y z"],
) -> Float32[np.ndarray, "x y z"] | Int16[np.ndarray, "x y z"]:
    """Return whole numbers as such, so that a file does not grow."""
    is_whole = bool((array == np.rint(array)).all()) and np.abs(array).max(initial=0) < 2**15
    return array.astype(np.int16) if is_whole else array
