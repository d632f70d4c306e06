"""What every chart shares: colours, plain text, and the way to a picture that stays sharp in print."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK: Final = "#16202a"
SOFT: Final = "#55626f"
COLOURS: Final = ("#0b5c8a", "#d9822b", "#2a9d6f", "#b04a7a", "#6a5acd", "#8a6d3b", "#3f9ac9", "#5f6b76")
"""They stay apart for every kind of colour blindness when neighbours in this order are compared."""

_LEFT, _RIGHT, _BELOW, _ABOVE = 0.75, 0.1, 0.45, 0.45
"""Inches around a chart, for ticks of six digits or so, for the name of its axis, and for a title of two lines."""

STYLE: Final[dict[Any, Any]] = {
    "axes.edgecolor": SOFT,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9.0,
    "grid.color": "#e3e8ec",
    "svg.hashsalt": "lesionlab",  # the same chart is the same file
    "text.parse_math": False,  # a dollar in a name is a dollar
}


def new_figure(*, width_inches: float, height_inches: float) -> Figure:
    """Return an empty figure whose parts do not overlap."""
    return Figure(figsize=(width_inches, height_inches), layout="constrained")


def new_charts(
    *, width_inches: float, height_inches: float, lines: int = 1, columns: int = 1
) -> tuple[Figure, list[Axes]]:
    """Return a figure and its empty charts, line by line, each with set room for title, ticks and names of its axes.

    `new_figure` finds the room that is needed, which takes as long as to draw.

    Args:
        width_inches: Of one chart with the room around it.
        height_inches: The same, from top to bottom.
        lines: How many below each other.
        columns: How many beside each other.
    """
    width, height = width_inches - _LEFT - _RIGHT, height_inches - _BELOW - _ABOVE
    figure = Figure(figsize=(columns * width_inches, lines * height_inches))
    every = figure.subplots(
        lines,
        columns,
        squeeze=False,
        gridspec_kw={
            "left": _LEFT / width_inches / columns,
            "right": 1 - _RIGHT / width_inches / columns,
            "bottom": _BELOW / height_inches / lines,
            "top": 1 - _ABOVE / height_inches / lines,
            "wspace": (_LEFT + _RIGHT) / width,
            "hspace": (_BELOW + _ABOVE) / height,
        },
    )
    return figure, list(every.ravel())


def as_svg(figure: Figure) -> bytes:
    """Return the figure as an SVG picture without a date."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


@contextmanager
def chart_style() -> Iterator[None]:
    """Draw and save within this context in the style of the charts."""
    with mpl.rc_context(STYLE):
        yield


def colour_of(index: int) -> str:
    """Return the colour of the model with this number."""
    return COLOURS[index % len(COLOURS)]


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Write names along the vertical axis, the first on top."""
    axes.set_yticks(range(len(names)), [shortened(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)


def shortened(name: str, *, longest: int = 28) -> str:
    """Return the name, its middle left out where it is too long for a chart."""
    half = longest // 2
    return name if len(name) <= longest else f"{name[:half]}…{name[-half + 1 :]}"
