"""Everything that can be said of a model on a text: :func:`evaluate`."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from lorelm.bundle import Bundle
from lorelm.bundle.manifest import Figures
from lorelm.evaluation.calibration import Calibration, calibration
from lorelm.evaluation.memorisation import CopiedTexts, CopyIndex, WrittenText, find_copies
from lorelm.evaluation.mixture import CountedModel, ngram_log_probabilities
from lorelm.evaluation.perplexity import Foretold, StreamScore, foretell
from lorelm.evaluation.scores import Score, perplexity_ratio_interval, ratio_interval, score
from lorelm.evaluation.spelling import SpellingModel
from lorelm.evaluation.text import HeldOutText
from lorelm.runtime.step_graph import Precision


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
        samples, human: what the model wrote and as much of the text, looked up in the training
            text; None where no samples were given.
        index: the training text they were looked up in.
    """

    figures: Figures
    text: HeldOutText
    network: Foretold
    calibration: Calibration
    samples: CopiedTexts | None
    human: CopiedTexts | None
    index: CopyIndex | None


def evaluate(
    bundle: Bundle,
    text: HeldOutText,
    *,
    precision: Precision = "int8",
    counted: CountedModel | None,
    samples: Samples | None,
    index: CopyIndex | None,
) -> EvaluationResult:
    """Judges a model on a text: against counting, and for copies.

    Args:
        counted: the n-gram model to compare with, where there is one.
        samples: what the model wrote, to be looked up in the `index`.

    Raises:
        BundleError: the bundle lacks this precision, or a file of it is damaged.
    """
    network = foretell(bundle.runtime(precision), text.stream)
    calibrated = calibration(network)
    copied = human = None
    if samples is not None and index is not None:
        copied = find_copies(samples.texts, index, text.tokenizer)
        human = find_copies(_as_much_as(text, copied.figures.num_tokens), index, text.tokenizer)
    figures = Figures(
        **_text_figures(text),
        precision=precision,
        calibration_error=calibrated.error,
        **_foretelling_figures(text, network, counted, SpellingModel.of_bundle(bundle)),
        **_copy_figures(samples, copied, human),
    )
    return EvaluationResult(
        figures=figures,
        text=text,
        network=network,
        calibration=calibrated,
        samples=copied,
        human=human,
        index=index,
    )


def _as_much_as(text: HeldOutText, num_tokens: int) -> list[WrittenText]:
    """The first documents of a text, as many tokens as that: shares of distinct n-grams compare."""
    texts: list[WrittenText] = []
    for tokens in text.documents:
        if num_tokens <= 0:
            break
        texts.append(WrittenText(tokens=tokens[:num_tokens], is_complete=len(tokens) <= num_tokens))
        num_tokens -= len(tokens)
    return texts


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
    mixture = counted.mixed(network.log_probabilities, text.stream)
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


def _score_figures(of: Score, prefix: str = "") -> dict[str, Any]:
    return {prefix + name: value for name, value in asdict(of).items()}


def _copy_figures(
    samples: Samples | None, copied: CopiedTexts | None, human: CopiedTexts | None
) -> dict[str, Any]:
    if samples is None or copied is None or human is None:
        return {}
    figures = {
        "samples": copied.figures.num_texts,
        "sample_tokens": copied.figures.num_tokens,
        "sample_temperature": samples.temperature,
    }
    for prefix, of in (("", copied.figures), ("human_", human.figures)):
        figures |= {prefix + name: getattr(of, name) for name in _COPY_FIGURES}
    return figures


_COPY_FIGURES: Final = ("copied_share", "longest_copy", "copied_lines_share", "distinct_share")
