"""The charts of a report: distributions, agreement of volumes, and what size of lesion is found."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from lesionlab.core.interval import mean_interval
from lesionlab.core.lesion_table import SIZE_CLASSES, LesionRow
from lesionlab.core.report import Row
from lesionlab.pages.chart import INK, SOFT, as_svg, chart_style, colour_of, new_charts
from lesionlab.pages.offline_page import ARROWS, unit_words

COLUMNS = 4
FEWEST_PATIENTS = 5
"""An interval over fewer patients reaches nearly from 0 to 1 and is not drawn."""

LIMITS_SD = 1.96
"""Bland and Altman's limits of agreement lie this many standard deviations from the mean difference."""


def draw_distributions(scores: Sequence[Sequence[Row]]) -> bytes:
    """Return an SVG: one small chart per score with a box and a dot per case.

    Args:
        scores: For each score its defined rows; none may be empty.
    """
    lines = -(-len(scores) // COLUMNS)
    rng = np.random.default_rng(0)
    with chart_style():
        figure, every = new_charts(width_inches=2.5, height_inches=2.5, lines=lines, columns=COLUMNS)
        for axes, rows in zip(every, scores, strict=False):
            values = [row.value for row in rows]
            axes.boxplot(values, widths=0.5, showfliers=False, medianprops={"color": INK})
            axes.scatter(1 + rng.uniform(-0.16, 0.16, len(values)), values, s=9, color=colour_of(0), alpha=0.6, lw=0)
            title = f"{rows[0].region}\n{rows[0].metric} {ARROWS[rows[0].is_higher_better]}"
            axes.set_title(title, loc="right", fontsize=9)  # a long name takes room on the left
            axes.set_ylabel(unit_words(rows[0].unit))
            axes.set_xticks([])
        for axes in every[len(scores) :]:
            axes.set_axis_off()
        return as_svg(figure)


def draw_bland_altman(predicted_ml: Sequence[float], reference_ml: Sequence[float], *, region: str) -> bytes:
    """Return an SVG: difference of the two volumes against their mean, with bias and limits of agreement.

    Args:
        predicted_ml: One per case.
        reference_ml: Of the same cases.
        region: Name of what is measured.

    Source: Bland and Altman 1986, doi:10.1016/S0140-6736(86)90837-8.
    """
    predicted, reference = np.asarray(predicted_ml), np.asarray(reference_ml)
    difference = predicted - reference
    with chart_style():
        figure, (axes,) = new_charts(width_inches=5.0, height_inches=3.6)
        axes.scatter((predicted + reference) / 2, difference, s=18, color=colour_of(0), alpha=0.7, linewidths=0)
        axes.axhline(0, color=SOFT, linewidth=0.8)
        _draw_level(axes, float(difference.mean()), words="bias", style="solid")
        if difference.size > 2:
            reach = LIMITS_SD * float(difference.std(ddof=1))
            _draw_level(axes, float(difference.mean()) + reach, words="+1.96 SD", style="dashed")
            _draw_level(axes, float(difference.mean()) - reach, words="−1.96 SD", style="dashed")
        axes.set_xlabel(f"mean of both volumes of {region} (ml)")
        axes.set_ylabel("predicted − reference (ml)")
        return as_svg(figure)


def draw_recall_by_size(lesions: Sequence[LesionRow]) -> bytes:
    """Return an SVG: the share of the reference's lesions that were found, by size, with its interval over patients.

    Args:
        lesions: Of the reference and one region; at least one.
    """
    with chart_style():
        figure, (axes,) = new_charts(width_inches=5.0, height_inches=3.6)
        by_size: dict[str, list[LesionRow]] = {}
        for lesion in lesions:
            by_size.setdefault(lesion.size_class, []).append(lesion)
        for place, size_class in enumerate(SIZE_CLASSES):
            own = by_size.get(size_class, [])
            found = [float(lesion.is_touched) for lesion in own]
            axes.text(place, 1.06, f"n = {len(own)}", ha="center", fontsize=8, color=SOFT)
            if own:
                ends = mean_interval(found, groups=[lesion.group for lesion in own])
                axes.bar(place, np.mean(found), width=0.6, color=colour_of(0), alpha=0.85)
                if len({lesion.group for lesion in own}) >= FEWEST_PATIENTS:
                    axes.plot([place, place], [ends.low, ends.high], color=INK, linewidth=1.5)
        axes.set_xticks(range(len(SIZE_CLASSES)), SIZE_CLASSES, fontsize=8)
        axes.set_xlim(-0.6, len(SIZE_CLASSES) - 0.4)
        axes.set_ylim(0, 1.14)
        axes.set_ylabel(f"share of {lesions[0].region} lesions found")
        return as_svg(figure)


def _draw_level(axes: Axes, height: float, *, words: str, style: str) -> None:
    axes.axhline(height, color=colour_of(1), linewidth=1.2, linestyle=style)
    axes.annotate(
        f"{words} {height:+.2f}",
        xy=(1.0, height),
        xycoords=("axes fraction", "data"),
        xytext=(-2, 3),
        textcoords="offset points",
        ha="right",
        fontsize=8,
        color=INK,
    )
