"""Measure a model on a text: one pass over its target tokens feeds every metric."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lorelm.bundle.manifest import Metrics
from lorelm.corpus.tokenizer import Tokenizer
from lorelm.corpus.vocabulary import Vocabulary
from lorelm.evaluation.baseline import NgramBaseline, ngram_log_probabilities
from lorelm.evaluation.memorisation import (
    SPAN_LENGTHS,
    CopiedTexts,
    CopyIndex,
    WrittenText,
    count_seen,
    distinct_shares,
    find_copies,
)
from lorelm.evaluation.perplexity import Predictions, StreamScore, predict
from lorelm.evaluation.scores import (
    Calibration,
    Score,
    calibration,
    perplexity_ratio_interval,
    ratio_interval,
    score,
    share_difference_interval,
    target_bits,
)
from lorelm.evaluation.spelling import SpellingModel
from lorelm.evaluation.text import HeldOutText
from lorelm.runtime.base import Runtime
from lorelm.runtime.mixture import mix_logs
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
    baseline: NgramBaseline | None = None
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
        target_bits: the cost of each target token under the network, unknown words with their
            spelling where the model has a spelling model.
        samples: generated texts with their matches in the training text; None where there were
            none or there was no index.
        index: of the training text.
    """

    metrics: Metrics
    text: HeldOutText
    network: Predictions
    target_bits: Floats
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
    network = predict(model.network, text.stream)
    calibrated = calibration(network)
    copied = None
    if samples is not None and index is not None:
        copied = find_copies(samples.texts, index, text.tokenizer)
    metrics = Metrics(
        **_text_metrics(text),
        precision=model.precision,
        calibration_error=calibrated.error,
        **_prediction_metrics(text, network, baseline, spelling),
        **_cache_metrics(model, text),
        **(_seen_metrics(text, index) if index is not None else {}),
        **(_copy_metrics(samples, copied, text, index) if samples and copied and index else {}),
    )
    return EvaluationResult(
        metrics=metrics,
        text=text,
        network=network,
        target_bits=target_bits(text, network.log_probabilities, spelling),
        calibration=calibrated,
        samples=copied,
        index=index,
    )


def _text_metrics(text: HeldOutText) -> dict[str, Any]:
    unknown, words = text.unknown_counts
    return {
        "text": text.name,
        "documents": len(text),
        "tokens": len(text.stream),
        "characters": int(text.num_characters.sum()),
        "unknown_rate": unknown.sum() / words.sum(),
        "unknown_rate_interval": ratio_interval(unknown, words),
    }


def _prediction_metrics(
    text: HeldOutText,
    network: Predictions,
    baseline: NgramBaseline | None,
    spelling: SpellingModel | None,
) -> dict[str, Any]:
    metrics = _score_metrics(score(text, network.log_probabilities, spelling))
    if baseline is None:
        return metrics
    ngram = baseline.log_probabilities(text.stream)
    mixture = mix_logs(network.log_probabilities, ngram, baseline.mixture_weight)
    return (
        metrics
        | _score_metrics(score(text, ngram, spelling), "ngram_")
        | _score_metrics(score(text, mixture, spelling), "mixture_")
        | {
            "ngram_order": baseline.model.order,
            "ngram_perplexities": [
                StreamScore.of(ngram_log_probabilities(model, text.stream), text.stream).perplexity
                for model in baseline.by_order
            ],
            "ngram_ratio_interval": perplexity_ratio_interval(
                text, network.log_probabilities, ngram
            ),
            "mixture_weight": baseline.mixture_weight,
        }
    )


def _cache_metrics(model: EvaluatedModel, text: HeldOutText) -> dict[str, Any]:
    if model.cached_network is None:
        return {}
    cached = predict(model.cached_network, text.stream).log_probabilities
    metrics = _score_metrics(score(text, cached, model.spelling), "cache_")
    if model.baseline is not None:
        mixture = model.baseline.mixed(cached, text.stream, cache=True)
        metrics |= _score_metrics(score(text, mixture, model.spelling), "cache_mixture_")
    return metrics


def _score_metrics(of: Score, prefix: str = "") -> dict[str, Any]:
    return {prefix + name: value for name, value in asdict(of).items()}


def _seen_metrics(text: HeldOutText, index: CopyIndex) -> dict[str, Any]:
    num_documents, num_tokens = count_seen(text.documents, index, text.tokenizer)
    return {
        "seen_documents": num_documents,
        "seen_share": num_tokens / sum(map(len, text.documents)),
    }


def _copy_metrics(
    samples: Samples, copied: CopiedTexts, text: HeldOutText, index: CopyIndex
) -> dict[str, Any]:
    human = find_copies(
        [WrittenText(tokens=tokens) for tokens in text.documents], index, text.tokenizer
    )
    same_length = _first_documents(text, copied.metrics.num_tokens)
    return {
        "samples": copied.metrics.num_texts,
        "sample_tokens": copied.metrics.num_tokens,
        "sample_temperature": samples.temperature,
        "copied_share": copied.metrics.copied_share,
        "longest_copy": copied.metrics.longest_copy,
        "copied_lines_share": copied.metrics.copied_lines_share,
        "distinct_share": distinct_shares(samples.texts, text.tokenizer),
        "human_copied_share": human.metrics.copied_share,
        "human_longest_copy": human.metrics.longest_copy,
        "human_copied_lines_share": human.metrics.copied_lines_share,
        "human_distinct_share": distinct_shares(same_length, text.tokenizer),
        "copied_excess_interval": {
            n: share_difference_interval(
                (copied.num_copied[n], copied.num_tokens), (human.num_copied[n], human.num_tokens)
            )
            for n in SPAN_LENGTHS
        },
    }


def _first_documents(text: HeldOutText, num_tokens: int) -> list[WrittenText]:
    """Return the first documents of a text, up to a number of tokens."""
    texts: list[WrittenText] = []
    for tokens in text.documents:
        if num_tokens <= 0:
            break
        texts.append(WrittenText(tokens=tokens[:num_tokens]))
        num_tokens -= len(tokens)
    return texts
