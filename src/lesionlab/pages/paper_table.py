"""The table of a comparison as it goes into a paper: Markdown, CSV and LaTeX."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from lesionlab.pages.offline_page import ARROWS, number, unit_words
from lesionlab.statistics.comparison import Comparison, ModelScore

LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "↑": r"$\uparrow$",
        "↓": r"$\downarrow$",
        "†": r"\textsuperscript{\dag}",
        "–": "--",
        "<": "$<$",
        ">": "$>$",
    }
)
MARKDOWN = str.maketrans({"|": r"\|", "*": r"\*", "_": r"\_", "<": "&lt;", "`": r"\`", "\\": r"\\"})
CAPTION = (
    "Mean over {} with its 95 % bootstrap interval. Bold: best. †: differs from the best "
    "(Wilcoxon signed-rank test, p < 0.05{})."
)
CORRECTED = " after Holm's correction"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperTable:
    """One table in three languages; models are rows, metrics are columns.

    Attributes:
        markdown: With the caption below.
        latex: A table environment that needs the package booktabs.
        csv: One row per model and metric with full digits.
    """

    markdown: str
    latex: str
    csv: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What is said of one model and metric.

    Attributes:
        text: Mean, interval and mark.
        is_best: Whether no model has a better mean.
    """

    text: str
    is_best: bool


def write_tables(comparisons: Sequence[Comparison]) -> PaperTable:
    """Return the table of several metrics of the same models."""
    heads = ["Model", *(_head(comparison, comparisons) for comparison in comparisons)]
    cells = [_column(comparison) for comparison in comparisons]
    rows = list(zip(*cells, strict=True))
    names = [score.model for score in comparisons[0].models]
    caption = CAPTION.format(comparisons[0].table.counted, CORRECTED if len(comparisons[0].pairs) > 1 else "")
    return PaperTable(
        markdown=_markdown(heads, names, rows, caption=caption),
        latex=_latex(heads, names, rows, caption=caption),
        csv=_csv(comparisons),
    )


def best_model(comparison: Comparison) -> ModelScore:
    """Return the model with the best mean, the first of equal ones."""
    sign = 1 if comparison.table.is_higher_better else -1
    return max(comparison.models, key=lambda score: sign * score.mean)


def _head(comparison: Comparison, every: Sequence[Comparison]) -> str:
    table = comparison.table
    has_protocols = len({one.table.protocol for one in every}) > 1
    has_regions = len({one.table.region for one in every if one.table.protocol == table.protocol}) > 1
    words = [table.protocol] * has_protocols + [table.region] * has_regions + [table.metric]
    unit = "" if table.unit == "1" else f" ({unit_words(table.unit)})"
    return f"{' '.join(words)}{unit} {ARROWS[table.is_higher_better]}"


def _column(comparison: Comparison) -> list[Cell]:
    best = best_model(comparison)
    cells = []
    for score in comparison.models:
        is_best = score.mean == best.mean
        is_worse = not is_best and comparison.pair(score.model, best.model).is_significant
        mean, low, high = (
            number(value, comparison.table.unit) for value in (score.mean, score.interval.low, score.interval.high)
        )
        ends = "" if math.isnan(score.interval.low) else f" ({low} to {high})"
        cells.append(Cell(text=f"{mean}{ends}{'†' * is_worse}", is_best=is_best))
    return cells


def _markdown(heads: Sequence[str], names: Sequence[str], rows: Sequence[Sequence[Cell]], *, caption: str) -> str:
    lines = [[head.translate(MARKDOWN) for head in heads], ["---"] * len(heads)]
    for name, cells in zip(names, rows, strict=True):
        lines.append([name.translate(MARKDOWN), *(f"**{cell.text}**" if cell.is_best else cell.text for cell in cells)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + f"\n{caption}\n"


def _latex(heads: Sequence[str], names: Sequence[str], rows: Sequence[Sequence[Cell]], *, caption: str) -> str:
    lines = [" & ".join(head.translate(LATEX) for head in heads) + r" \\", r"\midrule"]
    for name, cells in zip(names, rows, strict=True):
        texts = [cell.text.translate(LATEX) for cell in cells]
        marked = [rf"\textbf{{{text}}}" if cell.is_best else text for text, cell in zip(texts, cells, strict=True)]
        lines.append(" & ".join([name.translate(LATEX), *marked]) + r" \\")
    body = "\n".join(lines)
    columns = "l" + "c" * (len(heads) - 1)
    return (
        f"\\begin{{table}}\n\\centering\n\\caption{{{caption.translate(LATEX)}}}\n\\begin{{tabular}}{{{columns}}}\n"
        f"\\toprule\n{body}\n\\bottomrule\n\\end{{tabular}}\n\\end{{table}}\n"
    )


def _csv(comparisons: Sequence[Comparison]) -> str:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    heads = ["model", "protocol", "region", "metric", "unit", "n"]
    heads += ["mean", "low", "high", "median", "sd", "seeds", "seed_sd", "penalised"]
    writer.writerow(heads)
    for comparison in comparisons:
        table = comparison.table
        for score in comparison.models:
            numbers = (score.mean, score.interval.low, score.interval.high, score.median, score.sd)
            cells = ["" if value != value else repr(value) for value in (*numbers, score.seed_sd)]
            kind = [table.protocol, table.region, table.metric, table.unit]
            writer.writerow([score.model, *kind, score.n, *cells[:5], score.seeds, cells[5], score.penalised])
    return stream.getvalue()
