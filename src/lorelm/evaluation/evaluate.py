"""Everything that can be said of a model on a text: :func:`evaluate`."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lorelm.bundle import Bundle
from lorelm.bundle.manifest import Figures
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
from lorelm.evaluation.text import HeldOutText, require_foretold
from lorelm.runtime.step_graph import Precision
from lorelm.typing import Floats


@dataclass(frozen=True, kw_only=True)
class Samples:
    """What a model wrote, and how.

    Attributes:
        temperature: at which it was sampled.
    """

    texts: Sequence[WrittenText]
    temperature: float


@dataclass(frozen=True, kw_only=True)
class EvaluationResult:
    """The figures, and what a report shows beside them.

    Attributes:
        network: what the network gave each event.
        event_bits: what each event costs under the network, unknown words with their spelling
            where the bundle has a model of it.
        samples: what the model wrote, looked up in the training text; None where no samples were
            given or there was no index.
        index: the training text that was looked up in.
    """

    figures: Figures
    text: HeldOutText
    network: Foretold
    event_bits: Floats
    calibration: Calibration
    samples: CopiedTexts | None
    index: CopyIndex | None


def evaluate(
    bundle: Bundle,
    text: HeldOutText,
    *,
    precision: Precision | None = None,
    counted: CountedModel | None,
    samples: Samples | None,
    index: CopyIndex | None,
    cache: bool = False,
) -> EvaluationResult:
    """Judges a model on a text: against counting, and for copies.

    Args:
        precision: of the network; None takes that of the manifest.
        counted: the n-gram model to compare with, where there is one.
        samples: what the model wrote, to be looked up in the `index`.
        index: the training text, where there is an index of it.
        cache: judge the network with its neural cache too.

    Raises:
        BundleError: the bundle lacks this precision or the cache, or a file of it is damaged; or
            it was imported, and knows no end of a document.
    """
    require_foretold(text.stream, bundle)
    precision = precision or bundle.manifest.precision
    network = foretell(bundle.runtime(precision), text.stream)
    calibrated = calibration(network)
    spelling = SpellingModel.of_bundle(bundle)
    copied = None
    if samples is not None and index is not None:
        copied = find_copies(samples.texts, index, text.tokenizer)
    figures = Figures(
        **_text_figures(text),
        precision=precision,
        calibration_error=calibrated.error,
        **_foretelling_figures(text, network, counted, spelling),
        **(_cache_figures(bundle, text, precision, counted, spelling) if cache else {}),
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


def _cache_figures(
    bundle: Bundle,
    text: HeldOutText,
    precision: Precision,
    counted: CountedModel | None,
    spelling: SpellingModel | None,
) -> dict[str, Any]:
    cached = foretell(bundle.runtime(precision, cache=True), text.stream).log_probabilities
    figures = _score_figures(score(text, cached, spelling), "cache_")
    if counted is not None:
        mixture = counted.mixed(cached, text.stream, cache=True)
        figures |= _score_figures(score(text, mixture, spelling), "cache_mixture_")
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
