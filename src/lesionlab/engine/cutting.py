"""The head cut out of a case's files, on the grid of the plan; only the part that is kept is ever interpolated."""

from dataclasses import dataclass
from functools import reduce

import numpy as np
from jaxtyping import Bool, Float32, Integer, Shaped

from lesionlab.core.case import Modality
from lesionlab.core.grid import TOLERANCE_MM, Box, Grid
from lesionlab.core.labels import compact
from lesionlab.engine.images import Image
from lesionlab.transforms.geometry import to_working
from lesionlab.transforms.head_box import box_on, coarse, head_box


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What is kept of a case.

    Attributes:
        images: Of each modality, as read or interpolated linearly.
        heads: The foreground of each modality.
        label: Stored values, moved to the nearest voxel, or None where there is no mask.
        box: Where all of that lies on the working grid.
    """

    images: dict[Modality, Float32[np.ndarray, "x y z"]]
    heads: dict[Modality, Bool[np.ndarray, "x y z"]]
    label: Integer[np.ndarray, "x y z"] | None
    box: Box


def cut_head(
    scans: dict[Modality, Image],
    levels: dict[Modality, float],
    *,
    brain: Image | None,
    label: Image | None,
    working: Grid,
    is_even: bool,
) -> Cut:
    """Cut the box of all heads, without stray planes, and of every labelled voxel; all voxels where there are none.

    Args:
        scans: The image of each modality; emptied, so that none is kept longer than it is needed.
        levels: The value above which it shows foreground.
        brain: If given, only where it is above 0 there is foreground.
        label: Stored values.
        working: The grid that is cut from.
        is_even: Whether as much must be cut off the left as off the right.
    """
    is_moved = any(scan.grid.canonical().distance_mm(working) > TOLERANCE_MM for scan in scans.values())
    box = _rough_box(scans, levels, brain=brain, label=label, working=working, is_coarse=is_moved)
    box = _evened(box, size=working.shape[0]) if is_even else box
    images = {name: _moved(scans.pop(name), working, box=box, order=1) for name in tuple(scans)}
    heads = {name: image > levels[name] for name, image in images.items()}
    if brain is not None:
        inside = _moved(brain, working, box=box, order=0) > 0
        heads = {name: head & inside for name, head in heads.items()}
    values = None if label is None else compact(_moved(label, working, box=box, order=0))
    cut = Cut(images=images, heads=heads, label=values, box=box)
    if not is_moved:
        return cut
    box = _tight_box(cut, whole=working.shape)
    return _cropped(cut, _evened(box, size=working.shape[0]) if is_even else box)


def _rough_box(
    scans: dict[Modality, Image],
    levels: dict[Modality, float],
    *,
    brain: Image | None,
    label: Image | None,
    working: Grid,
    is_coarse: bool,
) -> Box:
    """Return the box of the working grid that holds every head and labelled voxel.

    Where voxels will be interpolated, which evens out noise, blocks of them are looked at instead of single ones.
    """
    shown: dict[Grid, list[Bool[np.ndarray, "_ _ _"]]] = {}
    for name, scan in {} if brain is not None else scans.items():
        seen = coarse(scan.array, scan.grid) if is_coarse else (scan.array, scan.grid)
        shown.setdefault(seen[1], []).append(seen[0] > levels[name])
    boxes = [box_on(working, heads, grid=grid) for grid, heads in shown.items()]
    masks = [mask for mask in (brain, label) if mask is not None]
    boxes += [box_on(working, [mask.array > 0], grid=mask.grid, stray_share=0.0) for mask in masks]
    return _or_all(Box.uniting(boxes), working.shape)


def _tight_box(cut: Cut, *, whole: tuple[int, int, int]) -> Box:
    """Return the box of what has been moved: interpolation reaches further than the head."""
    boxes = [head_box(reduce(np.logical_or, cut.heads.values()), whole=whole)]
    if cut.label is not None:
        boxes.append(head_box(cut.label > 0, whole=whole, stray_share=0.0))
    return _or_all(Box.uniting(boxes), cut.box.shape).within(cut.box)


def _cropped(cut: Cut, box: Box) -> Cut:
    inner = box.seen_from(cut.box).slices
    return Cut(
        images={name: image[inner] for name, image in cut.images.items()},
        heads={name: head[inner] for name, head in cut.heads.items()},
        label=None if cut.label is None else cut.label[inner],
        box=box,
    )


def _moved(image: Image, working: Grid, *, box: Box, order: int) -> Shaped[np.ndarray, "x y z"]:
    return to_working(image.array, image.grid, working=working, order=order, box=box)


def _or_all(box: Box, shape: tuple[int, int, int]) -> Box:
    return box if min(box.shape) > 0 else Box.of((0, 0, 0), shape)


def _evened(box: Box, *, size: int) -> Box:
    """Return the box widened so that as much is cut off the left as off the right."""
    margin = min(box.start[0], size - box.stop[0])
    return Box(start=(margin, *box.start[1:]), stop=(size - margin, *box.stop[1:]))
