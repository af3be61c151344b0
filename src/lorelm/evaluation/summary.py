"""Metrics as tables and plain sentences, the same for a terminal and a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lorelm.bundle.metrics import Interval, LineMetrics, Metrics
from lorelm.evaluation.scores import Score
from lorelm.ngrams.matches import MIN_COPY_LENGTH
from lorelm.table import aligned

_NGRAMS: Final = {1: "tokens", 2: "pairs", 3: "triples"}

# A few short documents ("No.") of any text are in the training text.
_MAX_SEEN_SHARE: Final = 0.05
_MAX_UNKNOWN_RATE: Final = 0.1

_MIN_LINES: Final = 20
"""Of fewer lines nothing is said: the table has their metrics and their number."""

_MIN_GAIN: Final = 0.0005
"""Smaller differences of the perplexity are shown as none: with one decimal place they are 0.0%."""

# With fewer there may be no copied span by chance, and the interval would be too narrow.
_MIN_TOKENS: Final = 500


@dataclass(frozen=True)
class MetricsTable:
    """A table of texts; the first column names the rows."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def lines(self) -> list[str]:
        return aligned([self.columns, *self.rows], right=range(1, len(self.columns)))


def summary_lines(metrics: Metrics) -> list[str]:
    """Return all metrics and findings as lines for a terminal."""
    lines = [describe_text(metrics), "", *prediction_table(metrics).lines()]
    if orders := describe_orders(metrics):
        lines.append(orders)
    for table in (*structure_tables(metrics.structure), copies_table(metrics)):
        if table is not None:
            lines += ["", *table.lines()]
    return [*lines, "", *findings(metrics)]


def describe_text(metrics: Metrics) -> str:
    """Describe the text in one line."""
    return (
        f"{metrics.text}: {metrics.documents:,} documents, {metrics.tokens:,} tokens, "
        f"{metrics.unknown_rate:.1%} of the words unknown "
        f"({format_interval(metrics.unknown_rate_interval, '.1%')}); 95 % intervals in brackets"
    )


def prediction_table(metrics: Metrics) -> MetricsTable:
    """Return the scores of the network, the n-gram baseline and their mixture, with intervals."""
    names = {"": f"network ({metrics.precision})"}
    if metrics.ngram_order is not None and metrics.mixture_weight is not None:
        names["ngram_"] = f"n-gram model (order {metrics.ngram_order})"
        names["mixture_"] = f"mixture ({metrics.mixture_weight:.0%} network)"
    if metrics.cache_perplexity is not None:
        names["cache_"] = "network with cache"
    if metrics.cache_mixture_perplexity is not None:
        names["cache_mixture_"] = "mixture with cache"
    if metrics.blend_share is not None:
        names["blend_"] = f"network blended with {metrics.blend_share:.0%} {metrics.blend_model}"
    if metrics.is_mixed and "mixture_" in names:
        first = f"{names.pop('mixture_')}, the default"
        names = {"mixture_": first, "": f"{names.pop('')} alone"} | names
    return MetricsTable(
        ("", "perplexity", "bits per character"),
        [
            (
                name,
                with_interval(metrics, f"{prefix}perplexity", ",.1f"),
                with_interval(metrics, f"{prefix}bits_per_character", ".3f"),
            )
            for prefix, name in names.items()
        ],
    )


def describe_orders(metrics: Metrics) -> str | None:
    """Describe the n-gram models of all orders in one line; None if there are none."""
    if not metrics.ngram_perplexities:
        return None
    shown = ", ".join(f"{perplexity:,.1f}" for perplexity in metrics.ngram_perplexities)
    return f"n-gram models of order 1 to {len(metrics.ngram_perplexities)}: perplexity {shown}"


def structure_tables(structure: LineMetrics | None) -> list[MetricsTable]:
    """Return what the lines before a line, and its speaker, are worth; nothing without lines."""
    if structure is None:
        return []
    names = {"": "with the lines before", "alone_": "without the lines before"}
    if structure.unnamed_perplexity is not None:
        names[""] += " and the speaker"
        names["unnamed_"] = "without the speaker"
    tables = [
        MetricsTable(
            (f"words of {structure.lines:,} lines", "perplexity", "bits per character"),
            [
                (
                    name,
                    _number(getattr(structure, f"{prefix}perplexity"), ",.1f"),
                    _number(getattr(structure, f"{prefix}bits_per_character"), ".3f"),
                )
                for prefix, name in names.items()
            ],
        )
    ]
    if structure.speaker_accuracy is not None:
        tables.append(_speaker_table(structure))
    return tables


def _speaker_table(structure: LineMetrics) -> MetricsTable:
    shown = _number(structure.speaker_accuracy, ".1%")
    if structure.speaker_accuracy_interval is not None:
        shown += f" ({format_interval(structure.speaker_accuracy_interval, '.1%')})"
    rows = [
        ("network", shown),
        ("always the commonest", _number(structure.speaker_majority, ".1%")),
    ]
    if structure.ngram_speaker_accuracy is not None:
        rows.insert(1, ("n-gram model", f"{structure.ngram_speaker_accuracy:.1%}"))
    lines = "" if structure.speaker_lines is None else f" of {structure.speaker_lines:,} lines"
    return MetricsTable((f"speaker{lines}, out of {structure.speakers}", "named rightly"), rows)


def copies_table(metrics: Metrics) -> MetricsTable | None:
    """Return how much the model copies beside people; None if no samples were looked up."""
    if metrics.copied_share is None or metrics.human_copied_share is None:
        return None
    rows: list[tuple[str, float | None, float | None, str]] = [
        (f"tokens in spans of {length} or more", share, metrics.human_copied_share[length], ".1%")
        for length, share in metrics.copied_share.items()
    ]
    rows += [
        ("longest span, tokens", metrics.longest_copy, metrics.human_longest_copy, ","),
        (
            "whole lines, of all lines",
            metrics.copied_lines_share,
            metrics.human_copied_lines_share,
            ".1%",
        ),
    ]
    human_distinct = metrics.human_distinct_share or {}
    for n, share in (metrics.distinct_share or {}).items():
        rows.append((f"different among all ({_NGRAMS[n]})", share, human_distinct[n], ".1%"))
    return MetricsTable(
        ("copied from the training text", f"{metrics.samples} samples", "text by people"),
        [(name, _number(ours, form), _number(human, form)) for name, ours, human, form in rows],
    )


def findings(metrics: Metrics) -> list[str]:
    """Say in plain sentences what the metrics mean.

    For a text that the model was trained on there is only that one sentence.
    """
    if metrics.seen_share is not None and metrics.seen_share > _MAX_SEEN_SHARE:
        return [
            f"The model was trained on this text: {metrics.seen_share:.0%} of its tokens are in "
            "documents of the training text. These metrics are too good; on new text it is worse."
        ]
    sentences = []
    if metrics.ngram_perplexity is not None:
        sentences.append(_baseline_finding(metrics, metrics.ngram_perplexity))
    if metrics.is_mixed:
        sentences.append(
            "On the validation part counting was better than the network, so the mixture of both "
            "is the default."
        )
    if metrics.blend_ratio_interval is not None and metrics.blend_perplexity is not None:
        sentences += _blend_findings(metrics, metrics.blend_perplexity)
    if metrics.structure is not None and metrics.structure.lines >= _MIN_LINES:
        sentences.append(_structure_finding(metrics.structure))
    if metrics.unknown_rate > _MAX_UNKNOWN_RATE and metrics.bits_per_character is not None:
        sentences.append(
            f"{metrics.unknown_rate:.0%} of the words are unknown and count as one easy token: to "
            "compare models, use bits per character."
        )
    if metrics.copied_share is not None:
        sentences.append(_copying_finding(metrics))
    if metrics.copied_lines_share and not metrics.human_copied_lines_share:
        sentences.append(
            "No whole line of the text by people is a line of the training text: in a test part, "
            "the split prevents it."
        )
    return sentences


def _baseline_finding(metrics: Metrics, ngram_perplexity: float) -> str:
    ratio = metrics.perplexity / ngram_perplexity
    assert metrics.ngram_ratio_interval is not None  # measured with the perplexity
    low, high = metrics.ngram_ratio_interval
    if high < 1:
        return (
            f"Better than the n-gram model: the perplexity is {1 - ratio:.0%} lower "
            f"(between {1 - high:.0%} and {1 - low:.0%})."
        )
    if low > 1:
        return (
            f"Not better than the n-gram model: the perplexity is {ratio - 1:.0%} higher. More "
            "text, or more epochs, may help."
        )
    return (
        f"As good as the n-gram model: the perplexity is {ratio:.2f} times as high, between "
        f"{low:.2f} and {high:.2f}, so the difference may be chance."
    )


def _blend_findings(metrics: Metrics, blend_perplexity: float) -> list[str]:
    sentences = [_blend_finding(metrics, blend_perplexity)]
    if metrics.blend_seen_share is None:
        sentences.append(
            f"Whether {metrics.blend_model} was trained on this text is not known: it carries no "
            "index of its training text."
        )
    if metrics.blend_lacks_mixture:
        sentences.append(
            "This blend is of the networks alone; generate and serve also mix in the n-gram model "
            "of a model that counting beats."
        )
    return sentences


def _blend_finding(metrics: Metrics, blend_perplexity: float) -> str:
    name = metrics.blend_model
    if (metrics.blend_seen_share or 0) > _MAX_SEEN_SHARE:
        return (
            f"{name} was trained on this text: {metrics.blend_seen_share:.0%} of its tokens are in "
            "documents of that training text. The metrics of the blend are too good."
        )
    ratio = blend_perplexity / metrics.perplexity
    assert metrics.blend_ratio_interval is not None
    low, high = metrics.blend_ratio_interval
    if high < 1:
        return (
            f"Blending with {name} helps: the perplexity is {1 - ratio:.1%} lower "
            f"(between {1 - high:.1%} and {1 - low:.1%})."
        )
    if low > 1:
        return f"Blending with {name} does not help: the perplexity is {ratio - 1:.1%} higher."
    return f"Blending with {name} makes no difference that cannot be chance."


def _structure_finding(structure: LineMetrics) -> str:
    perplexity = structure.perplexity
    worth = [f"The lines before are worth {_gain(perplexity, structure.alone_perplexity)}"]
    if structure.unnamed_perplexity is not None:
        worth.append(f"the speaker {_gain(perplexity, structure.unnamed_perplexity)}")
    sentence = ", ".join(worth)
    if structure.speaker_accuracy is None or structure.speaker_majority is None:
        return f"{sentence}."
    sentence += (
        f"; the network names {structure.speaker_accuracy:.0%} of the speakers rightly, and always "
        f"the commonest would be {structure.speaker_majority:.0%}"
    )
    interval = structure.speaker_accuracy_interval
    if interval is not None and interval[0] <= structure.speaker_majority <= interval[1]:
        sentence += ", a difference that may be chance"
    return f"{sentence}."


def _gain(perplexity: float, without: float) -> str:
    """Say by how much a perplexity is lower than without something."""
    gain = 1 - perplexity / without
    if gain >= _MIN_GAIN:
        return f"{gain:.1%} of the perplexity"
    if gain > -_MIN_GAIN:
        return "nothing"
    return f"nothing (the perplexity is {-gain:.1%} higher with it)"


def _copying_finding(metrics: Metrics) -> str:
    assert metrics.copied_share is not None
    assert metrics.human_copied_share is not None
    assert metrics.copied_excess_interval is not None
    share = metrics.copied_share[MIN_COPY_LENGTH]
    human = metrics.human_copied_share[MIN_COPY_LENGTH]
    if min(metrics.sample_tokens, metrics.tokens) < _MIN_TOKENS:
        return "There is too little text to say whether it copies more than people do."
    low, high = metrics.copied_excess_interval[MIN_COPY_LENGTH]
    measured = (
        f"{share:.1%} of its tokens are in spans of {MIN_COPY_LENGTH} or more from the training "
        f"text, {human:.1%} of the text by people"
    )
    if low > 0:
        return (
            f"It copies more than people do: {measured}; its longest copy has "
            f"{metrics.longest_copy} tokens. --novel-span {MIN_COPY_LENGTH} prevents it."
        )
    if high < 0:
        return f"It copies less than people do: {measured}."
    return f"It copies about as much as people do: {measured}, a difference that may be chance."


def with_interval(metrics: Metrics | Score, name: str, form: str) -> str:
    """Format a metric with its interval in brackets."""
    value, interval = getattr(metrics, name), getattr(metrics, f"{name}_interval")
    return "–" if interval is None else f"{value:{form}} ({format_interval(interval, form)})"


def format_interval(interval: Interval, form: str) -> str:
    return f"{interval[0]:{form}} – {interval[1]:{form}}"


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
