"""The page of a comparison: which models differ, by how much, how surely."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lesionlab.core.report import Rules
from lesionlab.pages.comparison_charts import draw_differences, draw_ranks
from lesionlab.pages.offline_page import address, number, p_value, render_page
from lesionlab.pages.paper_table import PaperTable, best_model
from lesionlab.statistics.comparison import Comparison
from lesionlab.statistics.strata import Stratification


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixCell:
    """The row's model against the column's.

    Attributes:
        kind: "better" or "worse" where they differ significantly, else "alike"; "same" on the diagonal.
        difference: Mean of row minus column.
        p_value: After Holm's correction.
    """

    kind: str
    difference: float
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixRow:
    """One model against all.

    Attributes:
        model: Its name.
        cells: One per model.
    """

    model: str
    cells: tuple[MatrixCell, ...]


def render_comparison(
    comparisons: Sequence[Comparison],
    *,
    rules: Sequence[Rules],
    strata: Sequence[Stratification],
    notes: Sequence[str],
    paper: PaperTable,
    provenance: Mapping[str, str],
    title: str,
) -> str:
    """Return the page.

    Args:
        comparisons: One per metric, at least one, all of the same models.
        rules: Words of every protocol that occurs.
        strata: Scores in parts of the patients.
        notes: What a reader must know first, as sentences.
        paper: The table for a paper.
        provenance: Software and versions.
        title: Heading of the page.
    """
    tables = [comparison.table for comparison in comparisons]
    facts = {
        "title": title,
        "notice": "",
        "comparisons": comparisons,
        "first": comparisons[0],
        "best": {comparison.table.name: best_model(comparison) for comparison in comparisons},
        "matrices": {comparison.table.name: _matrix(comparison) for comparison in comparisons},
        "sentences": {comparison.table.name: _sentence(comparison) for comparison in comparisons},
        "charts": {comparison.table.name: _charts(comparison) for comparison in comparisons},
        "titles": {one.name: one.title for one in rules},
        "legacy": {one.name for one in rules if one.is_legacy},
        "has_protocols": len({table.protocol for table in tables}) > 1,
        "has_regions": len({table.region for table in tables}) > len({table.protocol for table in tables}),
        "has_seeds": any(score.seeds > 1 for score in comparisons[0].models),
        "has_margins": any(comparison.margin > 0 for comparison in comparisons),
        "strata": strata,
        "notes": notes,
        "paper": paper,
        "provenance": provenance,
    }
    return render_page("comparison_page.html", facts)


def _charts(comparison: Comparison) -> dict[str, str]:
    return {"ranks": address(draw_ranks(comparison)), "differences": address(draw_differences(comparison))}


def _matrix(comparison: Comparison) -> list[MatrixRow]:
    names = [score.model for score in comparison.models]
    return [MatrixRow(model=row, cells=tuple(_cell(comparison, row, column) for column in names)) for row in names]


def _cell(comparison: Comparison, row: str, column: str) -> MatrixCell:
    if row == column:
        return MatrixCell(kind="same", difference=0.0, p_value=math.nan)
    pair = comparison.pair(row, column)
    difference = pair.test.mean_difference if pair.first == row else -pair.test.mean_difference
    # The test is about the typical shift; the mean may point the other way because of one patient.
    is_first_better = (pair.test.shift > 0) == comparison.table.is_higher_better
    kind = ("better" if is_first_better == (pair.first == row) else "worse") if pair.is_significant else "alike"
    return MatrixCell(kind=kind, difference=difference, p_value=pair.adjusted_p_value)


def _sentence(comparison: Comparison) -> str:
    """The result in words."""
    best, unit = best_model(comparison), comparison.table.unit
    said = f"{best.model} has the best mean, {number(best.mean, unit)}."
    test = comparison.friedman
    if test is not None and not math.isnan(test.p_value):
        said += (
            f" Over all models: Friedman χ² {test.chi_square:.2f}, p {_equals(test.p_value)}; "
            f"Iman–Davenport p {_equals(test.f_p_value)}."
        )
    others = [score.model for score in comparison.models if score.model != best.model]
    differ = [other for other in others if comparison.pair(best.model, other).is_significant]
    alike = [other for other in others if other not in differ]
    if differ:
        said += f" It differs significantly from {', '.join(differ)}."
    return said + (f" No difference from {', '.join(alike)} was shown." if alike else "")


def _equals(value: float) -> str:
    words = p_value(value)
    return words if words.startswith("<") else f"= {words}"
