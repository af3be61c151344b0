"""Measure a model on a text: one pass over its target tokens feeds every metric."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from lorelm.bundle.metrics import Metrics
from lorelm.corpus.preparation import Corpus
from lorelm.corpus.vocabulary import EOS_ID, UNK_ID
from lorelm.evaluation.baseline import NgramBaseline, ngram_log_probabilities
from lorelm.evaluation.blend import BlendedNetwork
from lorelm.evaluation.lines import line_metrics
from lorelm.evaluation.memorisation import (
    SPAN_LENGTHS,
    CopiedTexts,
    CopyIndex,
    WrittenText,
    count_seen,
    distinct_shares,
    find_copies,
)
from lorelm.evaluation.perplexity import Predictions, perplexity, predict
from lorelm.evaluation.scores import (
    calibration,
    perplexity_ratio_interval,
    ratio_interval,
    score,
    share_difference_interval,
    target_bits,
)
from lorelm.evaluation.spelling import SpellingModel
from lorelm.evaluation.text import HeldOutText
from lorelm.generation.language_model import LanguageModel
from lorelm.generation.logits import Mixture
from lorelm.generation.settings import NUM_SAMPLES_LIMIT, GenerationSettings
from lorelm.runtime.base import Runtime
from lorelm.runtime.step_graph import Precision
from lorelm.typing import Floats

_SAMPLE_TOKENS: Final = 25
"""PyTorch writes 100 to 200 tokens a second at one row, and an epoch may take two seconds."""


class Stage(StrEnum):
    """What an evaluation is doing, in words for the user; the names of the stages, in order.

    The first two, tuning and saving are of the evaluation that ends a training run.
    """

    GRAPHS = "building the step graphs"
    VALIDATION = "predicting the validation part"
    BLEND = "blending with the other model"
    NGRAMS = "counting n-grams"
    CACHE = "tuning the cache"
    SAMPLES = "generating samples"
    METRICS = "measuring the text"
    SAVING = "saving"


@dataclass(frozen=True, kw_only=True)
class EvaluatedModel:
    """Everything that an evaluation needs of a model.

    Attributes:
        precision: of the network.
        is_mixed: whether the network is mixed with the baseline by default.
        spelling: None leaves out bits per character.
        baseline: the n-gram baseline to compare with; None leaves out the comparison.
        index: the training text; None leaves out seen documents and copies.
        cached_network: the network with its neural cache; None leaves it out.
        blend: the network blended with that of another model; None leaves it out.
    """

    network: Runtime
    precision: Precision
    is_mixed: bool = False
    spelling: SpellingModel | None = None
    baseline: NgramBaseline | None = None
    index: CopyIndex | None = None
    cached_network: Runtime | None = None
    blend: BlendedNetwork | None = None


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
    samples: CopiedTexts | None
    index: CopyIndex | None


def measure(
    model: EvaluatedModel, text: HeldOutText, samples: Sequence[WrittenText] = ()
) -> EvaluationResult:
    """Measure a model on a text, against the n-gram baseline and for copies.

    Args:
        samples: texts from :func:`generate_samples`.
    """
    index = model.index
    network = predict(model.network, text.stream)
    copied = find_copies(samples, index, text.tokenizer) if samples and index else None
    unknown = text.by_document(text.stream == UNK_ID)
    words = text.by_document(text.stream != EOS_ID)
    metrics = Metrics(
        text=text.name,
        documents=len(text.documents),
        tokens=len(text.stream),
        characters=int(text.num_characters.sum()),
        unknown_rate=unknown.sum() / words.sum(),
        unknown_rate_interval=ratio_interval(unknown, words),
        precision=model.precision,
        calibration_error=calibration(network).error,
        **_prediction_metrics(model, text, network.log_probabilities),
        **(_seen_metrics(text, index) if index else {}),
        **(_copy_metrics(copied, text, index) if copied and index else {}),
        structure=line_metrics(
            model.network, text, model.spelling, model.baseline.model if model.baseline else None
        ),
    )
    return EvaluationResult(
        metrics=metrics,
        text=text,
        network=network,
        target_bits=target_bits(text, network.log_probabilities, model.spelling),
        samples=copied,
        index=index,
    )


def generate_samples(
    model: EvaluatedModel, text: HeldOutText, num_samples: int
) -> list[WrittenText]:
    """Generate texts without a prompt, with the seeds 0, 1, 2 and so on, in tokens as the text.

    None without an index to look them up in.
    """
    if model.index is None:
        return []
    mixture = None
    if model.is_mixed and model.baseline is not None:
        mixture = Mixture(model.baseline.model, model.baseline.mixture_weight)
    writer = LanguageModel(model.network, text.tokenizer, text.vocabulary, mixture=mixture)
    return [
        WrittenText(
            tokens=text.tokenizer.tokenize(sample.text),
            is_complete=sample.finish_reason == "eos",
        )
        for seed in range(0, num_samples, NUM_SAMPLES_LIMIT)
        for sample in writer.generate(
            seed=seed, num_samples=min(NUM_SAMPLES_LIMIT, num_samples - seed)
        ).samples
    ]


def sample_beginning(network: Runtime, corpus: Corpus, *, seed: int) -> str:
    """Return the beginning of a document that a model in training writes."""
    writer = LanguageModel(network, corpus.tokenizer, corpus.vocabulary)
    return writer.generate(seed=seed, max_len=_SAMPLE_TOKENS).text


def _prediction_metrics(
    model: EvaluatedModel, text: HeldOutText, network: Floats
) -> dict[str, Any]:
    baseline, stream = model.baseline, text.stream
    logs = {"": network}
    if model.cached_network is not None:
        logs["cache_"] = predict(model.cached_network, stream).log_probabilities
    if model.blend is not None:
        logs["blend_"] = model.blend.mixed(network, stream)
    if baseline is not None:
        logs["ngram_"] = ngram_log_probabilities(baseline.model, stream)
        logs["mixture_"] = baseline.mixed(network, stream)
        if "cache_" in logs:
            logs["cache_mixture_"] = baseline.mixed(logs["cache_"], stream, cache=True)
    metrics = {
        prefix + name: value
        for prefix, of in logs.items()
        for name, value in asdict(score(text, of, model.spelling)).items()
    }
    if model.blend is not None:
        metrics |= {
            "blend_model": model.blend.name,
            "blend_share": model.blend.share,
            "blend_ratio_interval": perplexity_ratio_interval(text, logs["blend_"], network),
            "blend_lacks_mixture": model.blend.lacks_mixture,
            "blend_seen_share": _seen_share(text, model.blend.index),
        }
    if baseline is None:
        return metrics
    by_order = [ngram_log_probabilities(each, stream) for each in baseline.by_order]
    return metrics | {
        "ngram_order": baseline.model.order,
        "ngram_perplexities": [perplexity(-of.mean()) for of in by_order],
        "ngram_ratio_interval": perplexity_ratio_interval(text, network, logs["ngram_"]),
        "is_mixed": model.is_mixed,
        "mixture_weight": baseline.mixture_weight,
    }


def _seen_share(text: HeldOutText, index: CopyIndex | None) -> float | None:
    return _seen_metrics(text, index)["seen_share"] if index else None


def _seen_metrics(text: HeldOutText, index: CopyIndex) -> dict[str, Any]:
    num_documents, num_tokens = count_seen(text.documents, index, text.tokenizer)
    return {
        "seen_documents": num_documents,
        "seen_share": num_tokens / sum(map(len, text.documents)),
    }


def _copy_metrics(copied: CopiedTexts, text: HeldOutText, index: CopyIndex) -> dict[str, Any]:
    num_tokens = int(copied.num_tokens.sum())
    by_people = [WrittenText(tokens=tokens) for tokens in text.documents]
    human = find_copies(by_people, index, text.tokenizer)
    return {
        "samples": len(copied.texts),
        "sample_tokens": num_tokens,
        "sample_temperature": GenerationSettings().temperature,
        "sample_min_p": GenerationSettings().min_p,
        "copied_share": copied.copied_share,
        "longest_copy": copied.longest_copy,
        "copied_lines_share": copied.copied_lines_share,
        "distinct_share": distinct_shares(copied.texts, text.tokenizer),
        "human_copied_share": human.copied_share,
        "human_longest_copy": human.longest_copy,
        "human_copied_lines_share": human.copied_lines_share,
        "human_distinct_share": distinct_shares(_first_documents(text, num_tokens), text.tokenizer),
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
