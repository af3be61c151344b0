"""The figures of an evaluation on a terminal."""

from rich.console import Console
from rich.table import Table

from lorelm.bundle.manifest import Figures
from lorelm.evaluation.tables import (
    FiguresTable,
    copies_table,
    describe_orders,
    describe_text,
    foretelling_table,
)
from lorelm.evaluation.verdicts import verdicts


def show_figures(figures: Figures, console: Console) -> None:
    """Prints all figures, and what they mean."""
    console.print(describe_text(figures), markup=False, soft_wrap=True)
    console.print()
    console.print(as_rich_table(foretelling_table(figures)), soft_wrap=True)
    if orders := describe_orders(figures):
        console.print(orders, markup=False, soft_wrap=True)
    if copies := copies_table(figures):
        console.print()
        console.print(as_rich_table(copies), soft_wrap=True)
    console.print()
    for verdict in verdicts(figures):
        console.print(verdict, markup=False, soft_wrap=True)


def as_rich_table(table: FiguresTable) -> Table:
    """A table as `rich` prints it, never cut or wrapped."""
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for place, name in enumerate(table.columns):
        shown.add_column(name, justify="right" if place else "left", no_wrap=True)
    for row in table.rows:
        shown.add_row(*row)
    return shown
