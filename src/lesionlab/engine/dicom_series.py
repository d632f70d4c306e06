"""One series of DICOM files as an image."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from lesionlab.core.errors import ImageError, OptionError
from lesionlab.core.grid import Grid
from lesionlab.engine.images import MAXIMUM_VOXELS, Image

logger = logging.getLogger(__name__)

TOLERANCE = 0.01
"""How far a slice may lie from its place, as a share of the distance between slices; scanners round positions."""

DIRECTION_TOLERANCE = 1e-3
"""How far the directions (unit vectors) and spacings (mm) of two slices may differ."""

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

PLACE = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slice:
    """One file: its pixels, and where they lie in the scanner's LPS space.

    Attributes:
        pixels: Rescaled to modality units.
        series: Identifier of its series.
        position_mm: Centre of the first pixel.
        directions: Unit vectors along the rows and along the columns.
        spacing_mm: Between rows and between columns.
        thickness_mm: Of the slice.
        number: Its place in the series as the scanner counted, or None.
    """

    pixels: Float32[np.ndarray, "column row"]
    series: str
    position_mm: Float64[np.ndarray, "3"]
    directions: Float64[np.ndarray, "2 3"]
    spacing_mm: Float64[np.ndarray, "2"]
    thickness_mm: float
    number: int | None

    @property
    def normal(self) -> Float64[np.ndarray, "3"]:
        """Unit vector across the slice."""
        return np.cross(self.directions[0], self.directions[1])


def read_series(folder: Path) -> Image:
    """Read the DICOM files of one folder as one volume in modality units (Hounsfield units for CT), float32.

    Slices are sorted by their position along their normal. Files that are no DICOM images are left alone, and nothing
    about a person is read. Axes run along rows, along columns and from slice to slice; the grid is the scanner's, in
    RAS+. Slices numbered beyond their count are logged as a warning: the ends of a stack may have been cut off.

    Raises:
        OptionError: pydicom is not installed.
        ImageError: The folder has no image, more than one series, several frames in one file, slices of different
            sizes or directions, two at one place, a gap, or pixels that cannot be decoded or are coloured.
    """
    slices = _read_slices(folder)
    _check_alike(slices, folder)
    slices = sorted(slices, key=lambda one: float(np.dot(slices[0].normal, one.position_mm)))
    step_mm = _step_between(slices, folder)
    array = np.stack([one.pixels for one in slices], axis=-1)
    if not np.isfinite(array).all():
        raise _error(folder, "finite values", "NaN or infinite ones", "export the series again")
    _note_missing_ends(slices, folder)
    return Image(array=array, grid=Grid.of(array.shape, LPS_TO_RAS @ _affine(slices[0], step_mm)), space_code=1)


def _read_slices(folder: Path) -> list[_Slice]:
    """Return every file of the folder that holds an image."""
    try:
        import pydicom  # noqa: F401  # whether it is there
    except ImportError as error:
        raise OptionError(
            "the package pydicom", found="that it is not installed", where=folder,
            next_step="pip install 'lesionlab[dicom]'",
        ) from error  # fmt: skip
    paths = sorted(path for path in folder.iterdir() if path.is_file() and path.name[0] != ".")
    found = [one for one in (_read_slice(path, of=len(paths)) for path in paths) if one is not None]
    if not found:
        raise _error(folder, "DICOM images", "none", "give the folder that directly holds one series")
    return found


def _read_slice(path: Path, *, of: int) -> _Slice | None:
    """Return the slice in a file, or None where the file is no DICOM image.

    Args:
        path: Of the file.
        of: How many slices the volume may have, to refuse one too large.
    """
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        header = dcmread(path)
    except InvalidDicomError:
        return None
    except (OSError, EOFError, ValueError) as error:
        raise _error(path, "a whole DICOM file", type(error).__name__, "copy the file again") from error
    if "Rows" not in header:
        return None
    _check_slice(header, path, of=of)
    number = header.get("InstanceNumber")
    return _Slice(
        pixels=_pixels(header, path),
        series=str(header.get("SeriesInstanceUID")),
        position_mm=np.array(header.ImagePositionPatient, dtype=np.float64),
        directions=np.array(header.ImageOrientationPatient, dtype=np.float64).reshape(2, 3),
        spacing_mm=np.array(header.PixelSpacing, dtype=np.float64),
        thickness_mm=float(header.get("SliceThickness") or 1.0),
        number=None if number is None else int(number),
    )


def _check_slice(header: Any, path: Path, *, of: int) -> None:
    """Refuse a file that is not one grey slice with a place."""
    if int(header.get("NumberOfFrames") or 1) > 1:
        raise _error(path, "one slice per file", "many in one", "convert it to NIfTI first, such as with dcm2niix")
    if int(header.get("SamplesPerPixel") or 1) > 1:
        raise _error(path, "a grey slice", "a coloured one", "give the original series, not a picture of it")
    missing = [name for name in PLACE if header.get(name) is None]
    if missing:
        raise _error(path, "a slice with a place", f"none ({missing[0]} is missing)", "give the original series")
    if int(header.Rows) * int(header.Columns) * of > MAXIMUM_VOXELS:
        raise _error(path, f"at most {MAXIMUM_VOXELS} voxels", "more by the headers", "crop or resample it")


def _pixels(header: Any, path: Path) -> Float32[np.ndarray, "column row"]:
    from pydicom.pixels.processing import apply_modality_lut

    try:
        values = apply_modality_lut(header.pixel_array, header)
    except (AttributeError, NotImplementedError, RuntimeError, ValueError) as error:
        found = f"compressed or damaged ones ({type(error).__name__})"
        raise _error(path, "pixels that can be decoded", found, "export the series uncompressed") from error
    return np.asarray(values, dtype=np.float32).T


def _check_alike(slices: Sequence[_Slice], folder: Path) -> None:
    """Refuse what is not one stack of one size and direction."""
    if len({one.series for one in slices}) > 1:
        raise _error(folder, "one series", "several mixed", "put each series into a folder of its own")
    spread = max(
        float(np.ptp([one.directions for one in slices], axis=0).max()),
        float(np.ptp([one.spacing_mm for one in slices], axis=0).max()),
    )
    if len({one.pixels.shape for one in slices}) > 1 or spread > DIRECTION_TOLERANCE:
        raise _error(folder, "slices of one size, spacing and direction", "several", "export each stack by itself")


def _step_between(slices: Sequence[_Slice], folder: Path) -> Float64[np.ndarray, "3"]:
    """Return the way from a slice to the next in mm; refuse slices at one place, gaps and irregular distances."""
    if len(slices) < 2:
        return slices[0].normal * slices[0].thickness_mm
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
