"""The page that people read after a training: curves, worst cases, and what the network says about itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lesionlab.pages.chart import as_svg, chart_style, colour_of, new_charts
from lesionlab.pages.offline_page import address, render_page

TITLES = {
    "loss": "Mean training loss",
    "validation_dice": "Mean Dice of the validation cases",
    "learning_rate": "Learning rate",
    "skipped_steps": "Steps left out, not finite",
    "steps_per_second": "Steps per second",
    "data_wait_share": "Share of the time spent waiting for samples",
    "memory_gib": "Most memory used (GiB)",
}
"""Names in metrics.jsonl in the order of the page; all others are what the network says about itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationCase:
    """How the best weights do on one validation case.

    Attributes:
        case: Its id.
        dice: Mean over regions.
        png: Its picture; empty where none is shown.
    """

    case: str
    dice: float
    png: bytes = b""

    @property
    def address(self) -> str:
        """The picture as an address that holds it whole."""
        return address(self.png)


def render_training(
    history: Sequence[Mapping[str, float]],
    *,
    title: str,
    facts: Mapping[str, str],
    cases: Sequence[ValidationCase],
    best_step: int,
    provenance: Mapping[str, str],
) -> str:
    """Return the page.

    Args:
        history: One entry per validation, with its "step" and numbers by name, as metrics.jsonl has them.
        title: The page's heading.
        facts: What was trained with what, for the head of the page.
        cases: Validation cases, the worst first.
        best_step: When the best weights were found; marked in the curves.
        provenance: Versions and machine.
    """
    names = {name: None for entry in history for name in entry if name != "step"}
    known = [name for name in TITLES if name in names]
    diagnostics = [name for name in names if name not in TITLES]
    return render_page(
        "training_page.html",
        {
            "title": title,
            "notice": "",
            "facts": facts,
            "curves": [(_title(name), address(_draw(history, name, best_step=best_step))) for name in known],
            "diagnostics": [(_title(name), address(_draw(history, name, best_step=best_step))) for name in diagnostics],
            "cases": cases,
            "provenance": provenance,
        },
    )


def _title(name: str) -> str:
    return TITLES.get(name, name.replace("_", " "))


def _draw(history: Sequence[Mapping[str, float]], name: str, *, best_step: int) -> bytes:
    """Return the curve of one number over the steps."""
    points = [(entry["step"], entry[name]) for entry in history if name in entry]
    with chart_style():
        figure, (axes,) = new_charts(width_inches=4.6, height_inches=2.6)
        steps, values = zip(*points, strict=True)
        axes.plot(steps, values, color=colour_of(0), marker="o", markersize=3 if len(points) < 40 else 0)
        axes.axvline(best_step, color=colour_of(1), linestyle="dashed", linewidth=1)
        axes.set_xlabel("step")
        return as_svg(figure)
