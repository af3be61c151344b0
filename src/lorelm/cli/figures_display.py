"""The metrics of an evaluation on a terminal."""

from collections.abc import Callable

from lorelm.bundle.manifest import Metrics
from lorelm.evaluation.findings import findings
from lorelm.evaluation.tables import (
    MetricsTable,
    copies_table,
    describe_orders,
    describe_text,
    prediction_table,
)


def show_metrics(metrics: Metrics, echo: Callable[[str], object]) -> None:
    """Prints all metrics, and what they mean, a line at a time."""
    echo(describe_text(metrics) + "\n")
    for line in aligned(prediction_table(metrics)):
        echo(line)
    if orders := describe_orders(metrics):
        echo(orders)
    if copies := copies_table(metrics):
        echo("")
        for line in aligned(copies):
            echo(line)
    echo("")
    for finding in findings(metrics):
        echo(finding)


def aligned(table: MetricsTable) -> list[str]:
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
