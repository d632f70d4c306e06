"""What can be done about the faults of one case: new files for those that have to change, and words for a record."""

import io
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Float32, Int16
from PIL import Image as Picture
from PIL import ImageOps

from lesionlab.core.case import Case
from lesionlab.core.errors import ImageError, LabelError, StorageError
from lesionlab.core.grid import TOLERANCE_MM, Grid
from lesionlab.core.image_formats import is_nifti, is_picture
from lesionlab.core.labels import Labels
from lesionlab.core.storage import write_bytes_atomically
from lesionlab.engine.case_files import read_file, read_scan
from lesionlab.engine.images import Image, count_volumes, write_image
from lesionlab.transforms.geometry import reorient, to_working

HEADER_RULES = frozenset({"transforms", "voxel-size", "units", "slope", "mask-slope", "further-axes", "label-noise"})
"""Faults that a fresh header, or voxels stored as they are read, put right."""

MOST_PIXELS = 10
"""A mask whose sides differ from its picture's by more than this is not the same picture's."""

FAR_SHARE = 0.5
"""Where a mask's header takes more of its lesion than this out of the scan, the header is wrong, not the voxels."""


Values: TypeAlias = Float32[np.ndarray, "x y z *volume"] | Int16[np.ndarray, "x y z *volume"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One file that a repair changes.

    Attributes:
        case: The id of its case.
        file: Where it lay.
        what: What was done, in words.
        write: Writes what is to be in its place, and reads it back.
    """

    case: str
    file: Path
    what: str
    write: Callable[[Path], None]


def repair_case(case: Case, labels: Labels, *, headers: Collection[Path]) -> Iterator[Change]:
    """Yield the files of a case that have to change, each once, so that all lie on the grid of the first image.

    A file of several volumes is changed as a whole. Of pictures, a mask that is a few pixels too large or too small is
    brought to the size of its picture; of other files, nothing can be changed.

    Args:
        case: Its files.
        labels: The stored values that its masks may hold.
        headers: Files whose headers are to be written afresh in any case.

    Raises:
        ImageError: An image cannot be read, has nothing on the grid of the first, or is of another size in a file that
            cannot be rewritten.
        LabelError: A mask holds values that nobody can interpret.
    """
    scan = read_scan(case, next(iter(case.images)))
    for path in dict.fromkeys(case.images.values()):
        parts = [case.parts.get(modality, "") for modality, other in case.images.items() if other == path]
        if not is_nifti(path):
            _check_size(read_file(path, parts[0]), scan, where=path)
            continue
        count = count_volumes(path) if any(parts) else 1
        volumes = [read_file(path, str(number)) for number in range(count)] if any(parts) else [read_file(path)]
        yield from _repair(case, path, volumes, scan=scan, order=1, done="", headers=headers)
    masks = () if case.label is None else (case.label, *case.further_labels)
    for path in masks:
        stored = read_file(path, case.label_part if path == case.label else "")
        if is_picture(path):
            yield from _resize_mask(case, path, stored, scan=scan)
            continue
        if not is_nifti(path):
            _check_size(stored, scan, where=path)
            continue
        values, done = _whole_labels(stored.array, labels, where=path)
        mask = [replace(stored, array=values)]
        yield from _repair(case, path, mask, scan=scan, order=0, done=done, headers=headers)


def _repair(
    case: Case,
    path: Path,
    volumes: Sequence[Image],
    *,
    scan: Image,
    order: int,
    done: str,
    headers: Collection[Path],
) -> Iterator[Change]:
    """Yield the change of one NIfTI file, whose volumes share a header and are therefore placed alike."""
    placed, ways = zip(*(_place(volume, scan, order=order, where=path) for volume in volumes), strict=True)
    if len(set(ways)) > 1:
        raise ImageError(
            "volumes of one file that need the same repair",
            found=" and ".join(way or "nothing to repair" for way in dict.fromkeys(ways)),
            where=path,
            next_step="give each volume a file of its own, then repair again",
        )
    words = [word for word in (done, ways[0]) if word]
    if path in headers:
        words.append("header written afresh from the affine and values that are read")
    if words:
        arrays = [image.array for image in placed]
        array = _compact(np.stack(arrays, axis=-1) if len(arrays) > 1 else arrays[0])
        write = partial(_write_volumes, array=array, grid=placed[0].grid, space_code=scan.space_code)
        yield Change(case=case.id, file=path, what="; ".join(words), write=write)


def _write_volumes(place: Path, *, array: Values, grid: Grid, space_code: int) -> None:
    """Write a NIfTI file and read it back.

    Raises:
        StorageError: What is read back differs.
    """
    write_image(place, array, grid=grid, space_code=space_code)
    parts = [""] if array.ndim == 3 else [str(number) for number in range(array.shape[3])]
    expected = [array] if array.ndim == 3 else list(np.moveaxis(array, 3, 0))
    written = [read_file(place, part) for part in parts]
    if not all(
        image.grid.distance_mm(grid) <= TOLERANCE_MM and np.array_equal(image.array, values)
        for image, values in zip(written, expected, strict=True)
    ):
        raise StorageError(
            "to read back what was written", found="other voxels or places", where=place, next_step="report this file"
        )


def _check_size(image: Image, scan: Image, *, where: Path) -> None:
    if image.grid.shape != scan.grid.shape:
        raise ImageError(
            f"an image of the size of the first, {scan.grid.shape}",
            found=f"{image.grid.shape}, in a file that cannot be repaired in its place",
            where=where,
            next_step="export it again at the size of the first, or convert the case to NIfTI",
        )


def _resize_mask(case: Case, path: Path, mask: Image, *, scan: Image) -> Iterator[Change]:
    """Yield the change of a picture's mask that is a few pixels too large or too small.

    Raises:
        ImageError: The sizes differ by more than `MOST_PIXELS`: nobody knows how the two belong together.
    """
    width, height, _ = scan.grid.shape
    differences = [abs(own - other) for own, other in zip(mask.grid.shape[:2], (width, height), strict=True)]
    if not any(differences):
        return
    if max(differences) > MOST_PIXELS:
        _check_size(mask, scan, where=path)
    what = f"resized from {mask.grid.shape[0]}x{mask.grid.shape[1]} to {width}x{height} pixels (nearest neighbour)"
    yield Change(
        case=case.id, file=path, what=what, write=partial(_write_resized, file=path, width=width, height=height)
    )


def _write_resized(place: Path, *, file: Path, width: int, height: int) -> None:
    """Write a mask at another size in its own format, and read it back.

    Raises:
        StorageError: It could not be written, or what is read back has another size.
    """
    stream = io.BytesIO()
    try:
        with Picture.open(file) as picture:
            resized = ImageOps.exif_transpose(picture).resize((width, height), Picture.Resampling.NEAREST)
            resized.save(stream, format=picture.format, **_FAITHFUL.get(str(picture.format), {}))
    except OSError as error:
        raise ImageError(
            "a mask that can be written in its own format", found=str(error), where=file, next_step="save it as PNG"
        ) from error
    write_bytes_atomically(place, stream.getvalue())
    written = read_file(place).grid.shape
    if written != (width, height, 1):
        raise StorageError(
            f"to read back a mask of {width}x{height}", found=str(written), where=place, next_step="report this file"
        )


_FAITHFUL: dict[str, dict[str, int]] = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": 1}}
"""How formats that lose something by default are written so that masks stay what they are."""


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
        return labels.stored_values(stored, where=where), ""
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


def _compact(array: Values) -> Values:
    """Return whole numbers as such, so that a file does not grow."""
    is_whole = bool((array == np.rint(array)).all()) and np.abs(array).max(initial=0) < 2**15
    return array.astype(np.int16) if is_whole else array
