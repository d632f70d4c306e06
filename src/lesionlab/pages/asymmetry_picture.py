"""A picture of where the two sides of a head differ."""

import io

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lesionlab.core.metric import Spacing
from lesionlab.pages.overlay import choose_slices

_LARGEST = 6.0
_SHOWN_ABOVE = 3.0
"""Differences beyond three times the usual decide which slices are shown."""


def draw_asymmetry(
    image: Float[np.ndarray, "x y z"], asymmetry: Float[np.ndarray, "x y z"], *, spacing_mm: Spacing
) -> bytes:
    """Return a PNG of up to three axial slices of a scan, and beneath each what one side has more than the other.

    The slices are those with the largest differences. The view is radiological: the patient's right is on the left.

    Args:
        image: Any intensities, axes in RAS+ order.
        asymmetry: As `lesionlab.transforms.asymmetry.asymmetry_map` gives it, on the same grid.
        spacing_mm: Along x, y and z.
    """
    chosen = choose_slices(np.abs(asymmetry) > _SHOWN_ABOVE)
    height = image.shape[1] * spacing_mm[1] / (image.shape[0] * spacing_mm[0])
    figure = Figure(figsize=(3.2 * len(chosen), 6.4 * height + 0.6), layout="constrained", facecolor="black")
    rows = figure.subplots(2, len(chosen), squeeze=False)
    darkest, brightest = np.percentile(image, [1.0, 99.5])
    for column, z in enumerate(chosen):
        _draw(rows[0][column], image[:, :, z], colours="gray", ends=(float(darkest), float(brightest)), step=spacing_mm)
        rows[0][column].set_title(f"slice {z + 1}", color="white", fontsize=9)
        _draw(rows[1][column], asymmetry[:, :, z], colours="RdBu_r", ends=(-_LARGEST, _LARGEST), step=spacing_mm)
    bar = figure.colorbar(rows[1][0].images[0], ax=rows[1].tolist(), shrink=0.8)
    bar.ax.tick_params(colors="white")
    bar.set_label("brighter (red) or darker (blue) than the other side,\nin units of what is usual", color="white")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()


def _draw(
    axes: Axes, plane: Float[np.ndarray, "x y"], *, colours: str, ends: tuple[float, float], step: Spacing
) -> None:
    edges = (0.0, plane.shape[0] * step[0], 0.0, plane.shape[1] * step[1])
    axes.imshow(plane.T, origin="lower", extent=edges, cmap=colours, vmin=ends[0], vmax=max(ends[1], ends[0] + 1e-6))
    axes.set_xlim(edges[1], edges[0])  # from the patient's left to the right
    axes.set_axis_off()
    ink = "white" if colours == "gray" else "black"
    for x, letter in ((0.03, "R"), (0.97, "L")):
        axes.text(x, 0.5, letter, transform=axes.transAxes, color=ink, ha="center", va="center", weight="bold")
