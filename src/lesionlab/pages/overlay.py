"""A picture of one case: the scan with both outlines."""

import io

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lesionlab.core.grid import Box
from lesionlab.core.metric import Mask, Spacing

REFERENCE_COLOUR = "#ffb000"
PREDICTED_COLOUR = "#33bbee"
IGNORED_COLOUR = "#cc79a7"
"""Amber and sky blue (and mauve) stay apart for every kind of colour blindness, and by line style in grey print."""

SLICES = 3
DARKEST_PERCENTILE = 1.0
BRIGHTEST_PERCENTILE = 99.5
MARGIN_VOXELS = 4


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
    box = _head(image)
    chosen = choose_slices(predicted | reference)
    width, height = (max(box.shape[axis] * spacing_mm[axis], 1e-6) for axis in (0, 1))
    panel_inches = 3.4
    figure = Figure(
        figsize=(panel_inches * len(chosen), min(panel_inches * height / width, 2 * panel_inches) + 0.45),
        layout="constrained",
        facecolor="black",
    )
    window = _window(image)
    for axes, z in zip(figure.subplots(1, len(chosen), squeeze=False)[0], chosen, strict=True):
        _draw_slice(axes, image[:, :, z], z=z, box=box, spacing_mm=spacing_mm, window=window)
        _draw_outline(axes, ignored[:, :, z], spacing_mm=spacing_mm, colour=IGNORED_COLOUR, style="dotted")
        _draw_outline(axes, reference[:, :, z], spacing_mm=spacing_mm, colour=REFERENCE_COLOUR, style="solid")
        _draw_outline(axes, predicted[:, :, z], spacing_mm=spacing_mm, colour=PREDICTED_COLOUR, style="dashed")
    _draw_legend(figure, has_ignored=bool(ignored[:, :, chosen].any()))
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


def _head(image: Float[np.ndarray, "x y z"]) -> Box:
    """The box of what is brighter than the air around the head, and a margin."""
    darkest, brightest = _window(image)
    box = Box.around(image > darkest + 0.1 * (brightest - darkest))
    start = [max(0, first - MARGIN_VOXELS) for first in box.start]
    stop = [min(size, last + MARGIN_VOXELS) for size, last in zip(image.shape, box.stop, strict=True)]
    return Box(start=(start[0], start[1], start[2]), stop=(stop[0], stop[1], stop[2]))


def _window(image: Float[np.ndarray, "x y z"]) -> tuple[float, float]:
    darkest, brightest = np.percentile(image, [DARKEST_PERCENTILE, BRIGHTEST_PERCENTILE])
    return float(darkest), float(brightest)


def _draw_slice(
    axes: Axes,
    plane: Float[np.ndarray, "x y"],
    *,
    z: int,
    box: Box,
    spacing_mm: Spacing,
    window: tuple[float, float],
) -> None:
    x_mm, y_mm, _ = spacing_mm
    edges = (-0.5 * x_mm, (plane.shape[0] - 0.5) * x_mm, -0.5 * y_mm, (plane.shape[1] - 0.5) * y_mm)
    darkest, brightest = window
    axes.imshow(plane.T, origin="lower", extent=edges, cmap="gray", vmin=darkest, vmax=max(brightest, darkest + 1e-6))
    axes.set_xlim((box.stop[0] - 0.5) * x_mm, (box.start[0] - 0.5) * x_mm)  # from the patient's left to the right
    axes.set_ylim((box.start[1] - 0.5) * y_mm, (box.stop[1] - 0.5) * y_mm)
    axes.set_aspect("equal")
    axes.set_axis_off()
    for x, letter in ((0.03, "R"), (0.97, "L")):
        axes.text(x, 0.5, letter, transform=axes.transAxes, color="white", ha="center", va="center", weight="bold")
    axes.text(0.03, 0.03, f"slice {z + 1}", transform=axes.transAxes, color="white", fontsize=8)


def _draw_outline(axes: Axes, plane: Bool[np.ndarray, "x y"], *, spacing_mm: Spacing, colour: str, style: str) -> None:
    if not plane.any():
        return
    padded = np.pad(plane, 1).astype(float)  # so that a lesion at the border has a closed outline
    x_mm = (np.arange(padded.shape[0]) - 1) * spacing_mm[0]
    y_mm = (np.arange(padded.shape[1]) - 1) * spacing_mm[1]
    axes.contour(x_mm, y_mm, padded.T, levels=[0.5], colors=colour, linestyles=style, linewidths=1.1)


def _draw_legend(figure: Figure, *, has_ignored: bool) -> None:
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
        title="axial, radiological view: the patient's right (R) is on the left",
        title_fontproperties={"size": 8},
    ).get_title().set_color("white")
