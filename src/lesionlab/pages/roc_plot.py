"""Pictures of a classification: receiver operating characteristics, and what probabilities are worth."""

import io
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lesionlab.metrics.classes import Bins
from lesionlab.metrics.roc import Area, Curve

COLOURS = ("#0b5c8a", "#d9822b", "#3d8b5f", "#8a3b8a", "#8a3b00", "#55626f")


def draw_roc(
    curves: Mapping[str, Curve], areas: Mapping[str, Area], *, operating: Mapping[str, tuple[float, float]]
) -> bytes:
    """Return a PNG with one curve per class to be found, each against all others.

    Args:
        curves: By class.
        areas: Under each curve, with interval.
        operating: By class: false positive rate and sensitivity of what was predicted, drawn as a ring.
    """
    figure, axes = _square()
    axes.plot([0, 1], [0, 1], color="#9aa5b1", linewidth=1, linestyle=":")
    for number, (name, curve) in enumerate(curves.items()):
        colour, area = COLOURS[number % len(COLOURS)], areas[name]
        said = f"{name}: {area.value:.3f} ({area.low:.3f} to {area.high:.3f})"
        axes.plot(curve.false_positive_rate, curve.sensitivity, color=colour, linewidth=2, label=said, clip_on=False)
        axes.plot(*operating[name], marker="o", markersize=9, fillstyle="none", color=colour, clip_on=False)
    axes.set_xlabel("false positive rate (1 − specificity)")
    axes.set_ylabel("sensitivity")
    axes.legend(loc="lower right", title="area under the curve (95 % interval)", frameon=False, fontsize=9)
    return _png(figure)


def draw_calibration(bins: Bins, *, forecast: str) -> bytes:
    """Return a PNG of what happened against what was said; a disc's area is its number of cases.

    Args:
        bins: Empty ones are left out.
        forecast: What was said, in words ("probability of stroke").
    """
    figure, axes = _square()
    axes.plot([0, 1], [0, 1], color="#9aa5b1", linewidth=1, linestyle=":")
    held = bins.cases > 0
    sizes = 40 + 400 * bins.cases[held] / max(1, bins.cases.max())
    axes.plot(bins.said[held], bins.happened[held], color=COLOURS[0], linewidth=1, alpha=0.6)
    axes.scatter(bins.said[held], bins.happened[held], s=sizes, color=COLOURS[0], alpha=0.75, clip_on=False)
    for said, happened, cases in zip(bins.said[held], bins.happened[held], bins.cases[held], strict=True):
        axes.annotate(str(cases), (said, happened), ha="center", va="center", color="white", fontsize=8)
    axes.set_xlabel(f"mean {forecast}")
    axes.set_ylabel("share for which it came true")
    return _png(figure)


def _square() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.6, 5.4), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.grid(color="#e4e8ec", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()
