"""The charts of a comparison: ranks, and differences patient by patient."""

import numpy as np

from lesionlab.pages.chart import INK, SOFT, as_svg, chart_style, colour_of, name_rows, new_figure
from lesionlab.pages.offline_page import unit_words
from lesionlab.statistics.comparison import Comparison


def draw_ranks(comparison: Comparison) -> bytes:
    """Return an SVG: for each rule and model, how often which place was taken in bootstrap samples of the patients.

    The area of a disc is the frequency; a cross marks the rank with all patients.
    """
    names = [score.model for score in comparison.models]
    places = np.arange(1, len(names) + 1)
    with chart_style():
        figure = new_figure(width_inches=10.0, height_inches=1.1 + 0.36 * len(names))
        every = figure.subplots(1, len(comparison.rankings), sharey=True)
        for axes, ranking in zip(every, comparison.rankings, strict=True):
            for row, (rank, frequencies) in enumerate(zip(ranking.ranks, ranking.frequencies, strict=True)):
                shown = frequencies > 0
                axes.scatter(
                    places[shown],
                    np.full(shown.sum(), row),
                    s=340 * frequencies[shown] * min(1.0, 5 / len(names)),
                    color=colour_of(row),
                    alpha=0.85,
                    linewidths=0,
                )
                axes.plot(rank, row, marker="x", color=INK, markersize=6)
            axes.set_title(f"{ranking.rule}\nstability τ {ranking.stability:.2f}", fontsize=9)
            axes.set_xticks(places)
            axes.set_xlim(0.4, len(names) + 0.6)
            axes.set_xlabel("rank")
        name_rows(every[0], names)
        return as_svg(figure)


def draw_differences(comparison: Comparison) -> bytes:
    """Return an SVG: each pair's differences, one dot per patient, with the mean and its interval as a bar below.

    Dots lie at random heights within their row; the band is the margin of equivalence where one was given.
    """
    pairs = comparison.pairs
    rng = np.random.default_rng(0)
    rows = dict(zip(comparison.table.scores, comparison.table.matrix, strict=True))
    with chart_style():
        figure = new_figure(width_inches=7.6, height_inches=0.9 + 0.5 * len(pairs))
        axes = figure.subplots()
        for row, pair in enumerate(pairs):
            differences = rows[pair.first] - rows[pair.second]
            heights = row - 0.1 + rng.uniform(-0.22, 0.22, differences.size)
            axes.scatter(differences, heights, s=10, color=colour_of(0), alpha=0.5, linewidths=0)
            ends = pair.test.mean_interval
            axes.plot([ends.low, ends.high], [row + 0.3] * 2, color=INK, linewidth=2)
            axes.plot(pair.test.mean_difference, row + 0.3, marker="D", color=INK, markersize=5)
        axes.axvline(0, color=SOFT, linewidth=1)
        if comparison.margin > 0:
            axes.axvspan(-comparison.margin, comparison.margin, color="#2a9d6f", alpha=0.12, linewidth=0)
        name_rows(axes, [f"{pair.first} − {pair.second}" for pair in pairs])
        axes.set_xlabel(f"difference in {comparison.table.metric} ({unit_words(comparison.table.unit)})")
        return as_svg(figure)
