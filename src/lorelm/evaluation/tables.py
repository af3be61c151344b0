"""The metrics of an evaluation in words, for a terminal and for a page alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lorelm.bundle.manifest import Interval, Metrics
from lorelm.evaluation.comparison import ComparedModel, Difference
from lorelm.evaluation.scores import Score

_NGRAMS: Final = {1: "tokens", 2: "pairs", 3: "triples"}


@dataclass(frozen=True)
class MetricsTable:
    """A table of texts; the first column names the rows."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def describe_text(metrics: Metrics) -> str:
    """What was foretold, in a line."""
    return (
        f"{metrics.text}: {metrics.documents:,} documents, {metrics.tokens:,} tokens, "
        f"{metrics.unknown_rate:.1%} of the words unknown "
        f"({_interval(metrics.unknown_rate_interval, '.1%')}); 95 % intervals in brackets"
    )


def prediction_table(metrics: Metrics) -> MetricsTable:
    """The network, counting, and both together; beside each figure its 95 % interval."""
    names = {"": f"network ({metrics.precision})"}
    if metrics.ngram_order is not None and metrics.mixture_weight is not None:
        names["ngram_"] = f"n-gram model (order {metrics.ngram_order})"
        names["mixture_"] = f"mixture ({metrics.mixture_weight:.0%} network)"
    if metrics.cache_perplexity is not None:
        names["cache_"] = "network with cache"
    if metrics.cache_mixture_perplexity is not None:
        names["cache_mixture_"] = "mixture with cache"
    return MetricsTable(
        ("", "perplexity", "bits per character"),
        [
            (
                name,
                _with_interval(metrics, f"{prefix}perplexity", ",.1f"),
                _with_interval(metrics, f"{prefix}bits_per_character", ".3f"),
            )
            for prefix, name in names.items()
        ],
    )


def describe_orders(metrics: Metrics) -> str | None:
    """The n-gram models of all orders, in a line; None where they were not counted."""
    if not metrics.ngram_perplexities:
        return None
    shown = ", ".join(f"{perplexity:,.1f}" for perplexity in metrics.ngram_perplexities)
    return f"n-gram models of order 1 to {len(metrics.ngram_perplexities)}: perplexity {shown}"


def copies_table(metrics: Metrics) -> MetricsTable | None:
    """How much the model copies, beside people; None where no samples were looked up."""
    if metrics.copied_share is None or metrics.human_copied_share is None:
        return None
    rows: list[tuple[str, float | None, float | None]] = [
        (f"tokens in spans of {length} or more", share, metrics.human_copied_share[length])
        for length, share in metrics.copied_share.items()
    ]
    rows.append(
        ("whole lines, of all lines", metrics.copied_lines_share, metrics.human_copied_lines_share)
    )
    human_distinct = metrics.human_distinct_share or {}
    for n, share in (metrics.distinct_share or {}).items():
        rows.append((f"different among all ({_NGRAMS[n]})", share, human_distinct[n]))
    shown = [(name, _number(ours, ".1%"), _number(theirs, ".1%")) for name, ours, theirs in rows]
    longest = (
        "longest span, tokens",
        _number(metrics.longest_copy, ","),
        _number(metrics.human_longest_copy, ","),
    )
    return MetricsTable(
        ("copied from the training text", f"{metrics.samples} samples", "text by people"),
        [*shown[: len(metrics.copied_share)], longest, *shown[len(metrics.copied_share) :]],
    )


def comparison_table(names: Sequence[str], models: Sequence[ComparedModel]) -> MetricsTable:
    """Models side by side, under the names that the user gave them."""
    return MetricsTable(
        ("", "perplexity", "unknown", "bits per character", "difference", "p"),
        [
            (
                name,
                f"{model.score.perplexity:,.1f}",
                f"{model.unknown_rate:.1%}",
                _with_interval(model.score, "bits_per_character", ".3f"),
                *_difference_cells(model.difference),
            )
            for name, model in zip(names, models, strict=True)
        ],
    )


def _difference_cells(difference: Difference | None) -> tuple[str, str]:
    if difference is None:
        return "–", "–"
    interval = _interval(difference.interval, "+.3f")
    return f"{difference.bits_per_character:+.3f} ({interval})", f"{difference.p_value:.3f}"


def comparison_notes(names: Sequence[str], models: Sequence[ComparedModel]) -> list[str]:
    """What the comparison comes to, and what it must not be taken for."""
    styles = [model.bundle.tokenizer.style for model in models]
    notes = [
        _verdict(names[0], name, model.difference)
        for name, model, style in zip(names, models, styles, strict=True)
        if model.difference is not None and style == styles[0]
    ]
    if len({model.bundle.vocabulary for model in models}) > 1:
        notes.append("Their vocabularies differ: their perplexities do not compare.")
    if len(set(styles)) > 1:
        notes.append(
            "Their tokenizers differ: one that drops characters need not predict them, so "
            "its bits are of another, easier text. No model is called better across tokenizers."
        )
    for name, model in zip(names, models, strict=True):
        if model.num_seen_documents:
            notes.append(
                f"{model.num_seen_documents:,} of the documents stand in the training text of "
                f"{name}, whose metrics they flatter."
            )
    return notes


def _verdict(first: str, name: str, difference: Difference) -> str:
    low, high = difference.interval
    if high < 0:
        return f"{name} is better than {first}."
    if low > 0:
        return f"{name} is worse than {first}."
    return f"{name} and {first} do not differ by more than chance."


def _with_interval(metrics: Metrics | Score, name: str, form: str) -> str:
    value, interval = getattr(metrics, name), getattr(metrics, f"{name}_interval")
    return "–" if interval is None else f"{value:{form}} ({_interval(interval, form)})"


def _interval(interval: Interval, form: str) -> str:
    return f"{interval[0]:{form}} – {interval[1]:{form}}"


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
