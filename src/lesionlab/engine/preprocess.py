"""From a case's files to the arrays that a network sees."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Integer

from lesionlab.core.case import Case
from lesionlab.core.errors import LayoutError
from lesionlab.core.grid import Grid
from lesionlab.core.labels import Labels
from lesionlab.core.recipe import Preprocessing
from lesionlab.engine.case_files import read_brain_mask, read_mask, read_scan
from lesionlab.engine.cutting import Cut, cut_head
from lesionlab.engine.images import Image
from lesionlab.transforms.bias_field import without_bias_field
from lesionlab.transforms.geometry import Geometry
from lesionlab.transforms.midplane import find_midplane, straight_grid
from lesionlab.transforms.mirror_shading import evenly_lit
from lesionlab.transforms.normalise import (
    Normalisation,
    foreground_level,
    normalise,
    normalise_picture,
    to_unit_range,
    usual_normalisation,
)

logger = logging.getLogger(__name__)


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
    label: Integer[np.ndarray, "x y z"] | None
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
        LayoutError: A modality is missing, or the mask of the brain that `settings` ask for.
        ImageError: A file is damaged, or shows no plane between two like sides although `settings` ask for it.
        GridError: Modalities or mask lie on different grids and `settings` do not ask for resampling.
        LabelError: The mask holds undeclared values.
    """
    _check_modalities(case, modalities)
    cut, geometry, space_code = _read_and_cut(case, modalities, settings=settings, labels=labels)
    image = np.empty((len(modalities), *cut.box.shape), dtype=np.float32, order="F")
    for number, name in enumerate(modalities):
        part, head = cut.images.pop(name), cut.heads.pop(name)  # so that each is gone once it is scaled
        image[number] = _scaled(name, part, head, settings=settings, spacing_mm=geometry.working.spacing_mm)
    return Prepared(image=image, label=cut.label, geometry=geometry, space_code=space_code)


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


def read_brain(case: Case, *, scan: Grid, modality: str) -> Image:
    """Read a case's mask of the brain and make sure that it belongs to the scan.

    Args:
        case: Its files.
        scan: The grid of the image of `modality`.
        modality: Which image that is.

    Raises:
        LayoutError, ImageError: As `read_brain_mask`.
        GridError: The mask lies on another grid; another order of axes is none.
    """
    brain = read_brain_mask(case)
    assert case.brain_mask is not None, "it has just been read"
    advice = "resample the mask of the brain to the scan's grid (nearest neighbour)"
    _check_same_voxels(scan, brain.grid, mine=case.images[modality], others=case.brain_mask, advice=advice)
    return brain


def normalisation_of(modality: str, settings: Preprocessing) -> Normalisation:
    """Return how a modality is brought to one scale."""
    return usual_normalisation(modality) if settings.normalisation == "by_modality" else settings.normalisation


def _read_and_cut(
    case: Case, modalities: Sequence[str], *, settings: Preprocessing, labels: Labels
) -> tuple[Cut, Geometry, int]:
    """Return what is kept of all modalities, where that lies, and the code of the first one's space."""
    scans = {name: read_scan(case, name) for name in modalities}
    first, scan = modalities[0], scans[modalities[0]]
    if not settings.resample_modalities:
        advice = "register it, or let it be resampled: --change preprocessing.resample_modalities=true"
        for name, other in scans.items():
            _check_same_voxels(scan.grid, other.grid, mine=case.images[first], others=case.images[name], advice=advice)
    working = _working_grid(scan, settings, where=case.images[first])
    label = None if case.label is None else read_reference(case, scan=scan.grid, modality=first, labels=labels)
    brain = read_brain(case, scan=scan.grid, modality=first) if settings.foreground == "brain_mask" else None
    levels = {name: _level(name, one, settings) for name, one in scans.items()}
    place, space_code = scan.grid, scan.space_code
    del scan  # cutting lets go of every scan that has been cut
    cut = cut_head(scans, levels, brain=brain, label=label, working=working, is_even=settings.straighten)
    return cut, Geometry(scan=place, working=working, box=cut.box), space_code


def _level(modality: str, scan: Image, settings: Preprocessing) -> float:
    """Return the value above which there is foreground; all of a picture is, and all of a given brain."""
    if normalisation_of(modality, settings) == "picture" or settings.foreground == "brain_mask":
        return foreground_level(scan.array, rule="everything")
    level = foreground_level(scan.array, rule=settings.foreground, modality=modality)
    if level == -np.inf and settings.foreground == "above_background":
        _tell_no_air(modality)
    return level


@cache
def _tell_no_air(modality: str) -> None:
    """Log once for each modality that whole scans are taken for foreground."""
    logger.warning("no air at the edges of a scan (%s): all of such scans is taken for foreground", modality)


def _scaled(
    modality: str,
    image: Float32[np.ndarray, "x y z"],
    head: Bool[np.ndarray, "x y z"],
    *,
    settings: Preprocessing,
    spacing_mm: tuple[float, float, float],
) -> Float32[np.ndarray, "x y z"]:
    if settings.foreground == "brain_mask" and head.any():
        image = np.where(head, image, image[head].min())
    if normalisation_of(modality, settings) == "z_score":
        if settings.bias_field == "n4":
            image = without_bias_field(image, head, spacing_mm=spacing_mm)
        elif settings.bias_field == "mirror":
            image = evenly_lit(image, head)
    return _normalise(modality, image, foreground=head, settings=settings)


def _normalise(
    modality: str,
    image: Float32[np.ndarray, "x y z"],
    *,
    foreground: Bool[np.ndarray, "x y z"],
    settings: Preprocessing,
) -> Float32[np.ndarray, "x y z"]:
    scheme = normalisation_of(modality, settings)
    if settings.window is not None:
        image = np.clip(image, *settings.window)
    if scheme == "picture":
        return normalise_picture(image, modality=modality)
    if scheme == "z_score":
        low, high = settings.percentiles
        has_no_air = settings.foreground == "above_background" and bool(foreground.all())
        return normalise(image, foreground, percentiles=(0.0 if has_no_air else low, high))  # the darkest is tissue
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
