"""One series of DICOM files as an image."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Num

from lesionlab.core.errors import ImageError
from lesionlab.core.grid import Grid
from lesionlab.engine.dicom_pixels import decode, look_up
from lesionlab.engine.images import MAXIMUM_VOXELS, Image
from lesionlab.layouts.dicom_headers import SliceHeader, headers_of, read_file
from lesionlab.layouts.dicom_stacks import Contents, Stack, find_stacks

logger = logging.getLogger(__name__)

TOLERANCE = 0.01
"""How far a slice may lie from its place, as a share of the distance between slices; scanners round positions."""

DIRECTION_TOLERANCE = 1e-3
"""How far the directions (unit vectors) and spacings (mm) of two slices may differ."""

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

ORTHONORMAL_TOLERANCE = 0.01
"""How far the directions of rows and columns may be from unit vectors at a right angle."""

PLACE = {"ImagePositionPatient": 3, "ImageOrientationPatient": 6, "PixelSpacing": 2}
"""What says where a slice lies, and how many numbers each has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slice:
    """One file: its pixels, and where they lie in the scanner's LPS space.

    Attributes:
        pixels: Rescaled to modality units.
        position_mm: Centre of the first pixel.
        directions: Unit vectors along the rows and along the columns.
        spacing_mm: Between rows and between columns.
        header: Of its file or frame.
        number: Its place in the series as the scanner counted, or None.
    """

    pixels: Float32[np.ndarray, "column row"]
    position_mm: Float64[np.ndarray, "3"]
    directions: Float64[np.ndarray, "2 3"]
    spacing_mm: Float64[np.ndarray, "2"]
    header: SliceHeader
    number: int | None

    @property
    def normal(self) -> Float64[np.ndarray, "3"]:
        """Unit vector across the slice."""
        return np.cross(self.directions[0], self.directions[1])


def read_series(folder: Path, part: str = "") -> Image:
    """Read one DICOM series of a folder as one volume in modality units (Hounsfield units for CT), float32.

    Slices are sorted by their position along their normal. Files that are no scans (reports, masks, screenshots) are
    left alone, and nothing about a person is read. Axes run along rows, along columns and from slice to slice; the grid
    is the scanner's, in RAS+. Slices numbered beyond their count are logged as a warning: the ends of a stack may have
    been cut off. A file may hold one slice, or many with a place for each (enhanced MR and CT).

    Args:
        folder: That directly holds the files.
        part: Which stack of the folder (`Stack.part`); none where it holds only one.

    Raises:
        OptionError: pydicom is not installed.
        ImageError: The folder has no such image or several, a file that is broken, slices of different sizes or
            directions, two at one place, a gap, a header whose numbers are none, or pixels that cannot be decoded or
            are coloured.
    """
    headers = _choose(find_stacks(folder), folder, part=part).slices
    _check_size(headers)
    slices = _read_slices(headers)
    _check_alike(slices, folder)
    slices = sorted(slices, key=lambda one: float(np.dot(slices[0].normal, one.position_mm)))
    step_mm = _step_between(slices, folder)
    array = np.stack([one.pixels for one in slices], axis=-1)
    if not np.isfinite(array).all():
        raise _error(folder, "finite values", "NaN or infinite ones", "export the series again")
    _note_missing_ends(slices, folder)
    return Image(array=array, grid=Grid.of(array.shape, LPS_TO_RAS @ _affine(slices[0], step_mm)), space_code=1)


def _choose(contents: Contents, folder: Path, *, part: str) -> Stack:
    """Return the stack that is meant; every file must be whole, or nobody knows what is missing."""
    if contents.broken:
        raise contents.broken[0]
    stacks = [stack for stack in contents.stacks if part in ("", stack.part)]
    if not stacks:
        advice = "give the folder that directly holds one series"
        others = f", but {', '.join(dict.fromkeys(contents.others.values()))}" if contents.others else ""
        raise _error(folder, "DICOM images", f"none of series {part}" if part else f"none{others}", advice)
    if len({stack.series for stack in stacks}) > 1:
        found = f"several mixed ({' and '.join(stack.number for stack in stacks)})"
        raise _error(folder, "one series", found, "put each series into a folder of its own, or use the layout dicom")
    if len(stacks) > 1:
        for stack in stacks:
            _check_directions(stack.first)
        found = f"several ({' and '.join(stack.part.partition('/')[2] for stack in stacks)})"
        raise _error(folder, "slices of one direction and weighting", found, "export each stack by itself")
    return stacks[0]


def _check_size(headers: Sequence[SliceHeader]) -> None:
    """Judge by the headers whether the volume fits, before any pixel is decoded."""
    rows, columns = (headers[0].numbers(keyword, count=1) for keyword in ("Rows", "Columns"))
    if not rows or not columns or min(rows[0], columns[0]) < 1:
        raise headers[0].refuse("Rows" if not rows or rows[0] < 1 else "Columns", "a number above 0")
    if rows[0] * columns[0] * len(headers) > MAXIMUM_VOXELS:
        found = "more by the headers"
        raise _error(headers[0].path, f"at most {MAXIMUM_VOXELS} voxels", found, "crop or resample it")


def _read_slices(headers: Sequence[SliceHeader]) -> list[_Slice]:
    """Return the slices, each file decoded once."""
    slices: list[_Slice] = []
    for path, own in groupby(headers, key=lambda header: header.path):
        content = read_file(path, with_pixels=True)
        frames = {header.frame: header for header in headers_of(content, path)}
        selected = [frames[header.frame] for header in own]
        for header in selected:
            _check_slice(header)
        pixels = decode(content, path, count=len(frames))
        slices.extend(_slice(header, pixels[header.frame or 0], content) for header in selected)
    return slices


def _slice(header: SliceHeader, pixels: Num[np.ndarray, "row column"], content: Any) -> _Slice:
    """Return a slice whose place has been checked."""
    number = header.number("InstanceNumber") if header.frame is None else None
    return _Slice(
        pixels=_rescaled(pixels, header, content).T,
        position_mm=np.array(header.numbers("ImagePositionPatient", count=3)),
        directions=np.array(header.numbers("ImageOrientationPatient", count=6)).reshape(2, 3),
        spacing_mm=np.array(header.numbers("PixelSpacing", count=2)),
        header=header,
        number=None if number is None else int(number),
    )


def _check_slice(header: SliceHeader) -> None:
    """Refuse what is not one grey slice with a place."""
    path = header.path
    if "MOSAIC" in header.texts("ImageType"):
        raise _error(path, "one slice per file", "a mosaic of many", "convert it to NIfTI first, such as with dcm2niix")
    frames = header.numbers("NumberOfFrames", count=1)
    if header.frame is None and frames and frames[0] > 1:
        raise _error(path, "one slice per file", "many in one, without a place for each", "convert it to NIfTI first")
    samples = header.numbers("SamplesPerPixel", count=1)
    if samples and samples[0] > 1:
        raise _error(path, "a grey slice", "a coloured one", "give the original series, not a picture of it")
    for keyword, count in PLACE.items():
        if not header.numbers(keyword, count=count):
            raise _error(path, "a slice with a place", f"none ({keyword} is missing)", "give the original series")
    if min(header.numbers("PixelSpacing", count=2)) <= 0:
        raise header.refuse("PixelSpacing", "two numbers above 0")
    _check_directions(header)


def _check_directions(header: SliceHeader) -> None:
    directions = np.array(header.numbers("ImageOrientationPatient", count=6)).reshape(-1, 3)
    if len(directions) and np.abs(directions @ directions.T - np.eye(2)).max() > ORTHONORMAL_TOLERANCE:
        raise header.refuse("ImageOrientationPatient", "two unit vectors at a right angle")


def _rescaled(
    pixels: Num[np.ndarray, "row column"], header: SliceHeader, content: Any
) -> Float32[np.ndarray, "row column"]:
    """Return pixels in modality units, by the table of the file or by its slope and intercept."""
    if "ModalityLUTSequence" in content:
        return np.asarray(look_up(pixels, content, header.path), dtype=np.float32)
    slope, intercept = (header.numbers(keyword, count=1) for keyword in ("RescaleSlope", "RescaleIntercept"))
    values = pixels * (slope[0] if slope else 1.0) + (intercept[0] if intercept else 0.0)
    return np.asarray(values, dtype=np.float32)


def _check_alike(slices: Sequence[_Slice], folder: Path) -> None:
    """Refuse what is not one stack of one size and direction."""
    spread = max(
        float(np.ptp([one.directions for one in slices], axis=0).max()),
        float(np.ptp([one.spacing_mm for one in slices], axis=0).max()),
    )
    if len({one.pixels.shape for one in slices}) > 1 or spread > DIRECTION_TOLERANCE:
        raise _error(folder, "slices of one size, spacing and direction", "several", "export each stack by itself")


def _step_between(slices: Sequence[_Slice], folder: Path) -> Float64[np.ndarray, "3"]:
    """Return the way from a slice to the next in mm; refuse slices at one place, gaps and irregular distances."""
    if len(slices) < 2:
        return slices[0].normal * _thickness_mm(slices[0].header)
    steps_mm = np.diff([one.position_mm for one in slices], axis=0)
    lengths_mm = np.linalg.norm(steps_mm, axis=1)
    usual_mm = np.median(steps_mm, axis=0)
    length_mm = float(np.linalg.norm(usual_mm))
    if lengths_mm.min() <= TOLERANCE * max(length_mm, 0.1):
        advice = "put each time point or weighting into a folder of its own"
        raise _error(folder, "one slice at each place", "two at one place", advice)
    deviations_mm = np.linalg.norm(steps_mm - usual_mm, axis=1)
    if deviations_mm.max() > TOLERANCE * length_mm:
        worst = int(deviations_mm.argmax())
        found = f"{lengths_mm[worst]:.4g} mm between slices {worst + 1} and {worst + 2}, {length_mm:.4g} mm elsewhere"
        raise _error(folder, "slices at equal distances", found, "export the series again: slices seem to be missing")
    whole_mm: Float64[np.ndarray, "3"] = slices[-1].position_mm - slices[0].position_mm
    return whole_mm / (len(slices) - 1)


def _thickness_mm(header: SliceHeader) -> float:
    """Return the thickness of a volume of one slice, for which nothing else tells it."""
    for keyword in ("SliceThickness", "SpacingBetweenSlices"):
        thickness = header.numbers(keyword, count=1)
        if thickness and thickness[0] < 0:
            raise header.refuse(keyword, "a number above 0")
        if thickness and thickness[0] > 0:
            return thickness[0]
    logger.warning("%s: one slice without a thickness; 1 mm is taken", header.path)
    return 1.0


def _note_missing_ends(slices: Sequence[_Slice], folder: Path) -> None:
    numbers = [one.number for one in slices if one.number is not None]
    if numbers and (min(numbers) > 1 or max(numbers) > len(slices)):
        logger.warning(
            "%s: %d slices, numbered from %d to %d; some may be missing at an end",
            folder, len(slices), min(numbers), max(numbers),
        )  # fmt: skip


def _affine(first: _Slice, step_mm: Float64[np.ndarray, "3"]) -> Float64[np.ndarray, "4 4"]:
    """Return the way from voxel indices to mm in the scanner's LPS space."""
    affine = np.eye(4)
    affine[:3, 0] = first.directions[0] * first.spacing_mm[1]
    affine[:3, 1] = first.directions[1] * first.spacing_mm[0]
    affine[:3, 2] = step_mm
    affine[:3, 3] = first.position_mm
    return affine


def _error(where: Path, wanted: str, found: str, next_step: str) -> ImageError:
    return ImageError(wanted, found=found, where=where, next_step=next_step)
