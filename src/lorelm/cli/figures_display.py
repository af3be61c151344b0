"""The figures of an evaluation on a terminal."""

from collections.abc import Callable

from lorelm.bundle.manifest import Metrics
from lorelm.evaluation.tables import (
    FiguresTable,
    copies_table,
    describe_orders,
    describe_text,
    foretelling_table,
)
from lorelm.evaluation.verdicts import verdicts


def show_figures(figures: Metrics, echo: Callable[[str], object]) -> None:
    """Prints all figures, and what they mean, a line at a time."""
    echo(describe_text(figures) + "\n")
    for line in aligned(foretelling_table(figures)):
        echo(line)
    if orders := describe_orders(figures):
        echo(orders)
    if copies := copies_table(figures):
        echo("")
        for line in aligned(copies):
            echo(line)
    echo("")
    for verdict in verdicts(figures):
        echo(verdict)


def aligned(table: FiguresTable) -> list[str]:
    """The lines of a table, as wide as it is: better wrapped by a terminal than cut short."""
    rows = [table.columns, *table.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
