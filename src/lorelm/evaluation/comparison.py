"""Several models on one text, and whether their difference is more than chance."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lorelm.bundle import Bundle
from lorelm.bundle.manifest import Interval
from lorelm.errors import BundleError, CorpusError
from lorelm.evaluation.memorisation import count_seen
from lorelm.evaluation.perplexity import predict
from lorelm.evaluation.scores import (
    PERCENTILES,
    Score,
    resampled_totals,
    score,
    target_bits,
)
from lorelm.evaluation.spelling import SpellingModel
from lorelm.evaluation.text import HeldOutText, require_seen_tokens
from lorelm.runtime.step_graph import Precision
from lorelm.typing import Floats


@dataclass(frozen=True, kw_only=True)
class Difference:
    """By how many bits per character a model is above the first one; below zero it is better.

    Attributes:
        interval: of 95 %, from the documents drawn with replacement, the same for both models.
        p_value: how often, both ways, such a difference would come up between equal models.
    """

    bits_per_character: float
    interval: Interval
    p_value: float


@dataclass(frozen=True, kw_only=True)
class ComparedModel:
    """One of the models.

    Attributes:
        unknown_rate: share of the words that are unknown to it.
        num_seen_documents: how many of the documents stand in its training text; None where the
            bundle has no index of that.
        difference: to the first model; None for that one.
    """

    bundle: Bundle
    score: Score
    unknown_rate: float
    num_seen_documents: int | None
    difference: Difference | None


def compare(
    bundles: Sequence[Bundle],
    texts: Sequence[str],
    *,
    name: str,
    precision: Precision | None = None,
) -> list[ComparedModel]:
    """Judges each model on the same documents.

    Documents in which one of the tokenizers finds no word are left out for all.

    Args:
        name: the texts in words fit to be shown.
        precision: None takes that of each manifest.

    Raises:
        CorpusError: there are fewer than two documents, or a model knows no word of them.
        BundleError: a bundle has no spelling model, or a file of it is damaged.
    """
    texts = [text for text in texts if all(bundle.tokenizer.tokenize(text) for bundle in bundles)]
    if not texts:
        raise CorpusError(f"{name} has no document in which every tokenizer finds a word")
    judged = [_judge(bundle, texts, name, precision) for bundle in bundles]
    return [
        ComparedModel(
            bundle=model.bundle,
            score=model.score,
            unknown_rate=model.unknown_rate,
            num_seen_documents=_num_seen_documents(model.bundle, model.text),
            difference=_difference(model, judged[0]) if place else None,
        )
        for place, model in enumerate(judged)
    ]


@dataclass(frozen=True, kw_only=True)
class _Judged:
    bundle: Bundle
    text: HeldOutText
    score: Score
    unknown_rate: float
    bits: Floats


def _judge(bundle: Bundle, texts: Sequence[str], name: str, precision: Precision | None) -> _Judged:
    text = HeldOutText.of(
        [bundle.tokenizer.tokenize(text) for text in texts],
        name=name,
        tokenizer=bundle.tokenizer,
        vocabulary=bundle.vocabulary,
    )
    spelling = SpellingModel.of_bundle(bundle)
    if spelling is None:
        raise BundleError(
            f"bundle {bundle.path} has no spelling model, without which models do not compare: "
            + ("it was imported" if bundle.manifest.imported else "train it again")
        )
    require_seen_tokens(text.stream, bundle)
    logs = predict(bundle.runtime(precision), text.stream).log_probabilities
    unknown, words = text.unknown_counts
    return _Judged(
        bundle=bundle,
        text=text,
        score=score(text, logs, spelling),
        unknown_rate=float(unknown.sum() / words.sum()),
        bits=text.by_document(target_bits(text, logs, spelling)),
    )


def _difference(model: _Judged, first: _Judged) -> Difference:
    columns = (model.bits, model.text.num_characters, first.bits, first.text.num_characters)
    values_DK = np.column_stack(columns).astype(np.float64)
    bits, characters, first_bits, first_characters = resampled_totals(values_DK).T
    differences = bits / characters - first_bits / first_characters
    low, high = np.percentile(differences, PERCENTILES)
    # One more on either side: no number of draws shows that something never happens.
    tail = min((differences <= 0).sum(), (differences >= 0).sum()) + 1
    totals = values_DK.sum(axis=0)
    return Difference(
        bits_per_character=float(totals[0] / totals[1] - totals[2] / totals[3]),
        interval=(float(low), float(high)),
        p_value=min(1.0, float(2 * tail / (len(differences) + 1))),
    )


def _num_seen_documents(bundle: Bundle, text: HeldOutText) -> int | None:
    copies = bundle.copies()
    return None if copies is None else count_seen(text.documents, copies, text.tokenizer)[0]
