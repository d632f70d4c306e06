"""A picture of one case: the scan with both outlines."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lesionlab.core.components import number_components
from lesionlab.core.grid import Box
from lesionlab.core.metric import Mask, Spacing

REFERENCE_COLOUR = "#ffb000"
PREDICTED_COLOUR = "#33bbee"
IGNORED_COLOUR = "#cc79a7"
"""Amber and sky blue (and mauve) stay apart for every kind of colour blindness, and by line style in grey print."""

STYLES = {REFERENCE_COLOUR: "solid", PREDICTED_COLOUR: "dashed", IGNORED_COLOUR: "dotted"}
RADIOLOGICAL = "radiological view: the patient's right (R) is on the left"
PANEL_INCHES = 3.4
SLICES = 3
DARKEST_PERCENTILE = 1.0
BRIGHTEST_PERCENTILE = 99.5
MARGIN_VOXELS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A plane through a volume in RAS+ order; the axis across runs from high at the left to low at the right.

    Attributes:
        name: As it is written on the slice.
        axis: The axis that is cut.
        across: The axis along the picture's width.
        up: The axis along its height, low at the bottom.
        letters: The sides of the patient at the left and the right edge.
    """

    name: str
    axis: int
    across: int
    up: int
    letters: str


AXIAL = View(name="slice", axis=2, across=0, up=1, letters="RL")
CORONAL = View(name="coronal", axis=1, across=0, up=2, letters="RL")
PICTURE = View(name="", axis=2, across=0, up=1, letters="")
"""A plain picture: it has no sides of a patient and no number."""

SAGITTAL = View(name="sagittal", axis=0, across=1, up=2, letters="AP")


def draw_overlay(
    image: Float[np.ndarray, "x y z"], predicted: Mask, *, reference: Mask, ignored: Mask, spacing_mm: Spacing
) -> bytes:
    """Return a PNG of up to three axial slices with the reference's and the prediction's outlines.

    The slices are those with most lesion in either mask, apart from each other; the middle slice when both masks are
    empty. The view is radiological: the patient's right is on the left, and letters say so.

    Args:
        image: Any intensities, axes in RAS+ order.
        predicted: On the same grid.
        reference: On the same grid.
        ignored: Voxels that no score counts, on the same grid.
        spacing_mm: Along x, y and z.
    """
    cuts = [(AXIAL, z) for z in choose_slices(predicted | reference)]
    masks = {IGNORED_COLOUR: ignored, REFERENCE_COLOUR: reference, PREDICTED_COLOUR: predicted}
    return _draw_cuts(image, cuts, masks=masks, spacing_mm=spacing_mm, title="axial, " + RADIOLOGICAL)


def draw_planes(
    image: Float[np.ndarray, "x y z"], predicted: Mask, *, reference: Mask, ignored: Mask, spacing_mm: Spacing
) -> bytes:
    """Return a PNG of one axial, one coronal and one sagittal slice through the largest error.

    That is the largest component in which the masks differ, else the largest lesion, else the middle of the volume.
    A volume of one slice is shown in its own plane only.

    Args:
        image: Any intensities, axes in RAS+ order.
        predicted: On the same grid.
        reference: On the same grid.
        ignored: Voxels that no score counts, on the same grid.
        spacing_mm: Along x, y and z.
    """
    x, y, z = _worst_place((predicted ^ reference) & ~ignored, predicted | reference)
    cuts = [(AXIAL, z), (CORONAL, y), (SAGITTAL, x)] if image.shape[2] > 1 else [(AXIAL, z)]
    masks = {IGNORED_COLOUR: ignored, REFERENCE_COLOUR: reference, PREDICTED_COLOUR: predicted}
    return _draw_cuts(image, cuts, masks=masks, spacing_mm=spacing_mm, title=RADIOLOGICAL)


def draw_picture(
    image: Float[np.ndarray, "x y 1 *colour"], predicted: Mask, *, reference: Mask, ignored: Mask, spacing_mm: Spacing
) -> bytes:
    """Return a PNG of a picture in its own colours with the reference's and the prediction's outlines.

    Args:
        image: Any intensities, or three colours from 0 to 1; axes in RAS+ order.
        predicted: On the same grid.
        reference: On the same grid.
        ignored: Pixels that no score counts, on the same grid.
        spacing_mm: Of the grid; 1 along every axis.
    """
    masks = {IGNORED_COLOUR: ignored, REFERENCE_COLOUR: reference, PREDICTED_COLOUR: predicted}
    return _draw_cuts(image, [(PICTURE, 0)], masks=masks, spacing_mm=spacing_mm, title="")


def _worst_place(errors: Mask, lesion: Mask) -> tuple[int, int, int]:
    """The voxel nearest to the middle of the largest component of the errors, else of the lesion, else the middle."""
    x, y, z = (size // 2 for size in errors.shape)
    for mask in (errors, lesion):
        if mask.any():
            components, _ = number_components(mask, neighbours=26)
            largest = int(np.bincount(components.ravel())[1:].argmax()) + 1
            voxels = np.argwhere(components == largest)
            nearest = np.linalg.norm(voxels - voxels.mean(axis=0), axis=1).argmin()
            x, y, z = voxels[nearest].tolist()
            break
    return x, y, z


def _draw_cuts(
    image: Float[np.ndarray, "x y z *colour"],
    cuts: Sequence[tuple[View, int]],
    *,
    masks: Mapping[str, Mask],
    spacing_mm: Spacing,
    title: str,
) -> bytes:
    """Draw slices side by side, each as wide as it is in mm, with the outline of each mask in its colour."""
    window = _window(image)
    is_picture = cuts[0][0] is PICTURE
    box = Box(start=(0, 0, 0), stop=_sizes(image)) if is_picture else _head(image, window=window)
    widths = [max(box.shape[view.across] * spacing_mm[view.across], 1e-6) for view, _ in cuts]
    heights = [max(box.shape[view.up] * spacing_mm[view.up], 1e-6) for view, _ in cuts]
    inches = PANEL_INCHES / max(widths)
    figure = Figure(
        figsize=(sum(widths) * inches, min(max(heights) * inches, 2 * PANEL_INCHES) + 0.45),
        layout="constrained",
        facecolor="black",
    )
    panels = figure.subplots(1, len(cuts), squeeze=False, gridspec_kw={"width_ratios": widths})[0]
    for axes, (view, index) in zip(panels, cuts, strict=True):
        _draw_slice(axes, image.take(index, view.axis), view=view, index=index, box=box, mm=spacing_mm, window=window)
        for colour, mask in masks.items():
            _draw_outline(axes, mask.take(index, view.axis), view=view, spacing_mm=spacing_mm, colour=colour)
    has_ignored = any(masks[IGNORED_COLOUR].take(index, view.axis).any() for view, index in cuts)
    _draw_legend(figure, has_ignored=has_ignored, title=title)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()


def choose_slices(lesion: Mask) -> list[int]:
    """Return up to three slice numbers in ascending order, those with most lesion first chosen.

    Chosen slices lie at least a twelfth of the volume apart. An empty mask gives the middle slice.
    """
    area = lesion.sum(axis=(0, 1))
    apart = max(1, len(area) // 12)
    chosen: list[int] = []
    for z in np.argsort(-area, kind="stable").tolist():
        if area[z] > 0 and len(chosen) < SLICES and all(abs(z - other) >= apart for other in chosen):
            chosen.append(z)
    return sorted(chosen) or [len(area) // 2]


def _head(image: Float[np.ndarray, "x y z"], *, window: tuple[float, float]) -> Box:
    """The box of what is brighter than the air around the head, and a margin."""
    darkest, brightest = window
    box = Box.around(image > darkest + 0.1 * (brightest - darkest))
    start = [max(0, first - MARGIN_VOXELS) for first in box.start]
    stop = [min(size, last + MARGIN_VOXELS) for size, last in zip(image.shape, box.stop, strict=True)]
    return Box(start=(start[0], start[1], start[2]), stop=(stop[0], stop[1], stop[2]))


def _sizes(image: Float[np.ndarray, "x y z *colour"]) -> tuple[int, int, int]:
    return image.shape[0], image.shape[1], image.shape[2]


def _window(image: Float[np.ndarray, "x y z *colour"]) -> tuple[float, float]:
    darkest, brightest = np.percentile(image, [DARKEST_PERCENTILE, BRIGHTEST_PERCENTILE])
    return float(darkest), float(brightest)


def _draw_slice(
    axes: Axes,
    plane: Float[np.ndarray, "across up *colour"],
    *,
    view: View,
    index: int,
    box: Box,
    mm: Spacing,
    window: tuple[float, float],
) -> None:
    across_mm, up_mm = mm[view.across], mm[view.up]
    edges = (-0.5 * across_mm, (plane.shape[0] - 0.5) * across_mm, -0.5 * up_mm, (plane.shape[1] - 0.5) * up_mm)
    darkest, brightest = window
    axes.imshow(
        np.swapaxes(plane, 0, 1),
        origin="lower",
        extent=edges,
        cmap="gray",
        vmin=darkest,
        vmax=max(brightest, darkest + 1e-6),
    )
    axes.set_xlim((box.stop[view.across] - 0.5) * across_mm, (box.start[view.across] - 0.5) * across_mm)
    axes.set_ylim((box.start[view.up] - 0.5) * up_mm, (box.stop[view.up] - 0.5) * up_mm)
    axes.set_aspect("equal")
    axes.set_axis_off()
    if view is PICTURE:
        return
    for x, letter in zip((0.03, 0.97), view.letters, strict=True):
        axes.text(x, 0.5, letter, transform=axes.transAxes, color="white", ha="center", va="center", weight="bold")
    axes.text(0.03, 0.03, f"{view.name} {index + 1}", transform=axes.transAxes, color="white", fontsize=8)


def _draw_outline(
    axes: Axes, plane: Bool[np.ndarray, "across up"], *, view: View, spacing_mm: Spacing, colour: str
) -> None:
    if not plane.any():
        return
    padded = np.pad(plane, 1).astype(float)  # so that a lesion at the border has a closed outline
    across_mm = (np.arange(padded.shape[0]) - 1) * spacing_mm[view.across]
    up_mm = (np.arange(padded.shape[1]) - 1) * spacing_mm[view.up]
    axes.contour(across_mm, up_mm, padded.T, levels=[0.5], colors=colour, linestyles=STYLES[colour], linewidths=1.1)


def _draw_legend(figure: Figure, *, has_ignored: bool, title: str) -> None:
    lines = [
        Line2D([], [], color=REFERENCE_COLOUR, linestyle="solid", label="reference"),
        Line2D([], [], color=PREDICTED_COLOUR, linestyle="dashed", label="predicted"),
    ]
    if has_ignored:
        lines.append(Line2D([], [], color=IGNORED_COLOUR, linestyle="dotted", label="ignored by every score"))
    figure.legend(
        handles=lines,
        loc="outside lower center",
        ncols=len(lines),
        frameon=False,
        labelcolor="white",
        fontsize=9,
        title=title,
        title_fontproperties={"size": 8},
    ).get_title().set_color("white")
