"""Tables on a terminal, in a file and in a pipe."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table


def print_table(table: "Table") -> None:
    """Print a table: as wide as the terminal, and in a file or pipe as wide as its content, so that nothing is cut."""
    from rich.console import Console
    from rich.measure import Measurement

    console = Console()
    if not console.is_terminal:
        unbounded = console.options.update(width=_WIDEST)
        console.width = max(console.width, Measurement.get(console, unbounded, table).maximum)
    console.print(table)


_WIDEST = 10_000
"""Columns that no table needs."""
