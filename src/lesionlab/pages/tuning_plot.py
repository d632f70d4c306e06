"""The picture of a tuning: mean score over threshold and smallest lesion."""

import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from lesionlab.pages.offline_page import unit_words


def draw_surface(
    surface: Float[np.ndarray, "threshold size"],
    *,
    thresholds: Sequence[float],
    sizes: Sequence[float],
    unit: str,
    score: str,
    chosen: int,
) -> bytes:
    """Return a PNG with one coloured field per pair, the chosen one framed.

    Args:
        surface: Mean scores.
        thresholds: One per row.
        sizes: Smallest lesions, one per column.
        unit: Of those sizes: "mm3" or "px".
        score: Name of the metric.
        chosen: Place of the chosen pair, counted row by row.
    """
    figure = Figure(figsize=(1.5 + 0.7 * len(sizes), 1.5 + 0.28 * len(thresholds)), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(surface, aspect="auto", cmap="viridis", origin="lower")
    axes.set_xticks(range(len(sizes)), [f"{size:g}" for size in sizes])
    axes.set_yticks(range(len(thresholds)), [f"{threshold:g}" for threshold in thresholds])
    axes.set_xlabel(f"smallest lesion ({unit_words(unit)})")
    axes.set_ylabel("threshold")
    row, column = np.unravel_index(chosen, surface.shape)
    axes.set_title(f"mean {score} of validation cases; chosen {surface[row, column]:.3f}, best {surface.max():.3f}")
    axes.plot(column, row, marker="s", markersize=14, fillstyle="none", color="white", markeredgewidth=2)
    figure.colorbar(picture)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
