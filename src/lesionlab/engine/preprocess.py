"""From a case's files to the arrays that a network sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from lesionlab.core.case import Case
from lesionlab.core.errors import LayoutError
from lesionlab.core.grid import Box, Grid
from lesionlab.core.labels import Labels
from lesionlab.core.recipe import Preprocessing
from lesionlab.engine.case_files import read_mask, read_scan
from lesionlab.engine.images import Image
from lesionlab.transforms.geometry import Geometry, to_working
from lesionlab.transforms.midplane import find_midplane, straight_grid
from lesionlab.transforms.normalise import (
    Normalisation,
    find_foreground,
    normalise,
    normalise_picture,
    to_unit_range,
    usual_normalisation,
)

_STRAY_SHARE = 0.002
"""A plane with less foreground than this holds noise, not head."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """One case as a network sees it.

    Attributes:
        image: Normalised modalities in the order asked for, cropped to the foreground.
        label: Stored label values on the same voxels, or None where the case has no mask.
        geometry: The way back to the scan's own grid.
        space_code: NIfTI code of the scan's space, for outputs.
    """

    image: Float32[np.ndarray, "modality x y z"]
    label: UInt8[np.ndarray, "x y z"] | None
    geometry: Geometry
    space_code: int

    @property
    def background(self) -> tuple[float, ...]:
        """Value of air in each modality: the lowest of the foreground, see `normalise`."""
        return tuple(float(part.min()) for part in self.image)


def prepare(case: Case, modalities: Sequence[str], *, settings: Preprocessing, labels: Labels) -> Prepared:
    """Read, orient, resample, normalise and crop one case.

    Args:
        case: Its files.
        modalities: Which, in the order of the network's input.
        settings: From the plan.
        labels: Which stored values its mask may hold.

    Raises:
        LayoutError: A modality is missing.
        ImageError: A file is damaged, or shows no plane between two like sides although `settings` ask for it.
        GridError: Modalities or mask lie on different grids and `settings` do not ask for resampling.
        LabelError: The mask holds undeclared values.
    """
    _check_modalities(case, modalities)
    images = {name: read_scan(case, name) for name in modalities}
    first = modalities[0]
    scan = images[first].grid
    if not settings.resample_modalities:
        advice = "register it, or let it be resampled: --change preprocessing.resample_modalities=true"
        for name, image in images.items():
            _check_same_voxels(scan, image.grid, mine=case.images[first], others=case.images[name], advice=advice)
    working = _working_grid(images[first], settings, where=case.images[first])
    arrays = [to_working(image.array, image.grid, working=working, order=1) for image in images.values()]
    foregrounds = [_foreground(name, array, settings) for name, array in zip(modalities, arrays, strict=True)]
    label = None
    if case.label is not None:
        stored = read_reference(case, scan=scan, modality=first, labels=labels)
        label = to_working(stored.array, stored.grid, working=working, order=0).astype(np.uint8)
    box = _box_around(foregrounds, label=label)
    if settings.straighten:
        box = _evened(box, size=working.shape[0])
    normalised = [
        _normalise(name, array, foreground=foreground, settings=settings)[box.slices]
        for name, array, foreground in zip(modalities, arrays, foregrounds, strict=True)
    ]
    return Prepared(
        image=np.stack(normalised),
        label=None if label is None else label[box.slices],
        geometry=Geometry(scan=scan, working=working, box=box),
        space_code=images[first].space_code,
    )


def read_reference(case: Case, *, scan: Grid, modality: str, labels: Labels) -> Image:
    """Read a case's mask and make sure that it belongs to the scan.

    Args:
        case: Has a mask.
        scan: The grid of the image of `modality`.
        modality: Which image that is.
        labels: Which stored values the mask may hold.

    Raises:
        ImageError, LabelError: As `read_mask`, or the mask holds undeclared values.
        GridError: The mask lies on another grid; another order of axes is none.
    """
    assert case.label is not None, "the case has a mask"
    label = read_mask(case, labels)
    advice = "resample the mask to the scan's grid (nearest neighbour)"
    _check_same_voxels(scan, label.grid, mine=case.images[modality], others=case.label, advice=advice)
    labels.check(label.array, where=case.label)
    return label


def _scheme(modality: str, settings: Preprocessing) -> Normalisation:
    return usual_normalisation(modality) if settings.normalisation == "by_modality" else settings.normalisation


def _foreground(
    modality: str, image: Float32[np.ndarray, "x y z"], settings: Preprocessing
) -> Bool[np.ndarray, "x y z"]:
    is_picture = _scheme(modality, settings) == "picture"
    return find_foreground(image, rule="everything" if is_picture else settings.foreground)


def _normalise(
    modality: str,
    image: Float32[np.ndarray, "x y z"],
    *,
    foreground: Bool[np.ndarray, "x y z"],
    settings: Preprocessing,
) -> Float32[np.ndarray, "x y z"]:
    scheme = _scheme(modality, settings)
    if settings.window is not None:
        image = np.clip(image, *settings.window)
    if scheme == "picture":
        return normalise_picture(image, modality=modality)
    if scheme == "z_score":
        return normalise(image, foreground, percentiles=settings.percentiles)
    inside = image[foreground] if foreground.any() else image.ravel()
    low, high = settings.window or np.percentile(inside, settings.percentiles)
    return to_unit_range(image, ends=(float(low), float(high)))


def _check_modalities(case: Case, modalities: Sequence[str]) -> None:
    missing = [name for name in modalities if name not in case.images]
    if missing:
        raise LayoutError(
            f"the modalities {', '.join(modalities)}",
            found=f"only {', '.join(case.images) or 'none'}",
            where=f"case {case.id}",
            next_step=f"add {', '.join(missing)}, or use a network for the modalities that you have",
        )


def _check_same_voxels(first: Grid, other: Grid, *, mine: Path, others: Path, advice: str) -> None:
    """Compare grids after turning both nearest to RAS+: another order of axes alone is no difference."""
    first.canonical().check_same(other.canonical(), mine=mine, others=others, next_step=advice)


def _working_grid(image: Image, settings: Preprocessing, *, where: Path) -> Grid:
    """Return the grid of the settings: the scan's own, of another spacing, or with the head upright in its middle."""
    if settings.straighten:
        plane = find_midplane(image.array, image.grid)
        plane.check(where=where)
        return straight_grid(image.grid, plane, spacing_mm=settings.spacing_mm)
    canonical = image.grid.canonical()
    return canonical if settings.spacing_mm is None else canonical.respaced(settings.spacing_mm)


def _evened(box: Box, *, size: int) -> Box:
    """Return the box widened so that as much is cut off the left as off the right."""
    margin = min(box.start[0], size - box.stop[0])
    return Box(start=(margin, *box.start[1:]), stop=(size - margin, *box.stop[1:]))


def _box_around(foregrounds: Sequence[Bool[np.ndarray, "x y z"]], *, label: UInt8[np.ndarray, "x y z"] | None) -> Box:
    """Return the box of the foregrounds without stray planes, and of every labelled voxel; all voxels if none."""
    kept = np.logical_or.reduce(foregrounds)
    for axis in range(3):
        others = tuple({0, 1, 2} - {axis})
        is_stray = kept.mean(axis=others, keepdims=True) < _STRAY_SHARE
        kept &= ~is_stray
    if label is not None:
        kept |= label > 0
    return Box.around(kept if kept.any() else np.ones_like(kept))
