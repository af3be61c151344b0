"""Measure a model on a text: one pass over its target tokens feeds every metric."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lorelm.bundle.manifest import Metrics
from lorelm.corpus.tokenizer import Tokenizer
from lorelm.corpus.vocabulary import Vocabulary
from lorelm.evaluation.calibration import Calibration, calibration
from lorelm.evaluation.memorisation import (
    SPAN_LENGTHS,
    CopiedTexts,
    CopyIndex,
    WrittenText,
    count_seen,
    distinct_shares,
    find_copies,
)
from lorelm.evaluation.mixture import CountedModel, mixed, ngram_log_probabilities
from lorelm.evaluation.perplexity import Foretold, StreamScore, foretell
from lorelm.evaluation.scores import (
    Score,
    bits_of_events,
    perplexity_ratio_interval,
    ratio_interval,
    score,
    share_difference_interval,
)
from lorelm.evaluation.spelling import SpellingModel
from lorelm.evaluation.text import HeldOutText
from lorelm.runtime.base import Runtime
from lorelm.runtime.step_graph import Precision
from lorelm.typing import Floats


@dataclass(frozen=True, kw_only=True)
class EvaluatedModel:
    """Everything that an evaluation needs of a model.

    Attributes:
        precision: of the network.
        spelling: None leaves out bits per character.
        baseline: the n-gram baseline to compare with; None leaves out the comparison.
        index: the training text; None leaves out seen documents and copies.
        cached_network: the network with its neural cache; None leaves it out.
    """

    network: Runtime
    precision: Precision
    tokenizer: Tokenizer
    vocabulary: Vocabulary
    spelling: SpellingModel | None = None
    baseline: CountedModel | None = None
    index: CopyIndex | None = None
    cached_network: Runtime | None = None


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Texts that a model generated, and the sampling temperature."""

    texts: Sequence[WrittenText]
    temperature: float


@dataclass(frozen=True, kw_only=True)
class EvaluationResult:
    """The metrics, and what a report shows beside them.

    Attributes:
        network: what the network predicted at each target token.
        event_bits: the cost of each target token under the network, unknown words with their
            spelling where the model has a spelling model.
        samples: generated texts with their matches in the training text; None where there were
            none or there was no index.
        index: of the training text.
    """

    figures: Metrics
    text: HeldOutText
    network: Foretold
    event_bits: Floats
    calibration: Calibration
    samples: CopiedTexts | None
    index: CopyIndex | None


def measure(
    model: EvaluatedModel, text: HeldOutText, samples: Samples | None = None
) -> EvaluationResult:
    """Measure a model on a text, against the n-gram baseline and for copies.

    Args:
        samples: generated texts, to be looked up in the index.
    """
    index, baseline, spelling = model.index, model.baseline, model.spelling
    network = foretell(model.network, text.stream)
    calibrated = calibration(network)
    copied = None
    if samples is not None and index is not None:
        copied = find_copies(samples.texts, index, text.tokenizer)
    figures = Metrics(
        **_text_figures(text),
        precision=model.precision,
        calibration_error=calibrated.error,
        **_foretelling_figures(text, network, baseline, spelling),
        **_cache_figures(model, text),
        **(_seen_figures(text, index) if index is not None else {}),
        **(_copy_figures(samples, copied, text, index) if samples and copied and index else {}),
    )
    return EvaluationResult(
        figures=figures,
        text=text,
        network=network,
        event_bits=bits_of_events(text, network.log_probabilities, spelling),
        calibration=calibrated,
        samples=copied,
        index=index,
    )


def _text_figures(text: HeldOutText) -> dict[str, Any]:
    unknown, words = text.unknown_counts
    return {
        "text": text.name,
        "documents": len(text),
        "tokens": len(text.stream),
        "characters": int(text.num_characters.sum()),
        "unknown_rate": unknown.sum() / words.sum(),
        "unknown_rate_interval": ratio_interval(unknown, words),
    }


def _foretelling_figures(
    text: HeldOutText,
    network: Foretold,
    counted: CountedModel | None,
    spelling: SpellingModel | None,
) -> dict[str, Any]:
    figures = _score_figures(score(text, network.log_probabilities, spelling))
    if counted is None:
        return figures
    ngram = counted.log_probabilities(text.stream)
    mixture = mixed(network.log_probabilities, ngram, counted.mixture_weight)
    return (
        figures
        | _score_figures(score(text, ngram, spelling), "ngram_")
        | _score_figures(score(text, mixture, spelling), "mixture_")
        | {
            "ngram_order": counted.model.order,
            "ngram_perplexities": [
                StreamScore.of(ngram_log_probabilities(model, text.stream), text.stream).perplexity
                for model in counted.by_order
            ],
            "ngram_ratio_interval": perplexity_ratio_interval(
                text, network.log_probabilities, ngram
            ),
            "mixture_weight": counted.mixture_weight,
        }
    )


def _cache_figures(model: EvaluatedModel, text: HeldOutText) -> dict[str, Any]:
    if model.cached_network is None:
        return {}
    cached = foretell(model.cached_network, text.stream).log_probabilities
    figures = _score_figures(score(text, cached, model.spelling), "cache_")
    if model.baseline is not None:
        mixture = model.baseline.mixed(cached, text.stream, cache=True)
        figures |= _score_figures(score(text, mixture, model.spelling), "cache_mixture_")
    return figures


def _score_figures(of: Score, prefix: str = "") -> dict[str, Any]:
    return {prefix + name: value for name, value in asdict(of).items()}


def _seen_figures(text: HeldOutText, index: CopyIndex) -> dict[str, Any]:
    num_documents, num_tokens = count_seen(text.documents, index, text.tokenizer)
    return {
        "seen_documents": num_documents,
        "seen_share": num_tokens / sum(map(len, text.documents)),
    }


def _copy_figures(
    samples: Samples, copied: CopiedTexts, text: HeldOutText, index: CopyIndex
) -> dict[str, Any]:
    human = find_copies(
        [WrittenText(tokens=tokens) for tokens in text.documents], index, text.tokenizer
    )
    same_length = _as_much_as(text, copied.figures.num_tokens)
    return {
        "samples": copied.figures.num_texts,
        "sample_tokens": copied.figures.num_tokens,
        "sample_temperature": samples.temperature,
        "copied_share": copied.figures.copied_share,
        "longest_copy": copied.figures.longest_copy,
        "copied_lines_share": copied.figures.copied_lines_share,
        "distinct_share": distinct_shares(samples.texts, text.tokenizer),
        "human_copied_share": human.figures.copied_share,
        "human_longest_copy": human.figures.longest_copy,
        "human_copied_lines_share": human.figures.copied_lines_share,
        "human_distinct_share": distinct_shares(same_length, text.tokenizer),
        "copied_excess_interval": {
            n: share_difference_interval(
                (copied.num_copied[n], copied.num_tokens), (human.num_copied[n], human.num_tokens)
            )
            for n in SPAN_LENGTHS
        },
    }


def _as_much_as(text: HeldOutText, num_tokens: int) -> list[WrittenText]:
    """The first documents of a text, so many tokens."""
    texts: list[WrittenText] = []
    for tokens in text.documents:
        if num_tokens <= 0:
            break
        texts.append(WrittenText(tokens=tokens[:num_tokens]))
        num_tokens -= len(tokens)
    return texts
