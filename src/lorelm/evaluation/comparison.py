"""Compare several models on one text, and test whether their difference is significant."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from lorelm.bundle import Bundle
from lorelm.bundle.metrics import Interval
from lorelm.corpus.vocabulary import unknown_rate
from lorelm.errors import BundleError, CorpusError
from lorelm.evaluation.baseline import NgramBaseline
from lorelm.evaluation.memorisation import count_seen
from lorelm.evaluation.perplexity import predict
from lorelm.evaluation.scores import Score, interval_of, resampled_totals, score, target_bits
from lorelm.evaluation.spelling import SpellingModel
from lorelm.evaluation.summary import MetricsTable, format_interval, with_interval
from lorelm.evaluation.text import HeldOutText, require_seen_tokens
from lorelm.runtime.step_graph import Precision
from lorelm.typing import Floats


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Bits per character of a model less those of the first one; negative is better.

    Attributes:
        interval: of 95 %, from documents drawn with replacement, the same for both models.
        p_value: two-sided probability of such a difference between equal models.
    """

    bits_per_character: float
    interval: Interval
    p_value: float

    def finding(self, first: str, name: str) -> str:
        low, high = self.interval
        if high < 0:
            return f"{name} is better than {first}."
        if low > 0:
            return f"{name} is worse than {first}."
        return f"{name} and {first} do not differ by more than chance."


@dataclass(frozen=True, kw_only=True)
class ComparedModel:
    """One of the models.

    Attributes:
        text: the documents as its target tokens.
        bits: of each document.
        num_seen_documents: number of documents that are in its training text; None if the bundle
            has no index of that.
        difference: to the first model; None for that one.
    """

    bundle: Bundle
    text: HeldOutText
    score: Score
    bits: Floats
    num_seen_documents: int | None
    difference: Difference | None = None

    @property
    def unknown_rate(self) -> float:
        """Share of the words that are unknown to it."""
        return unknown_rate(self.text.stream)

    def to_json(self) -> dict[str, Any]:
        difference = self.difference
        return asdict(self.score) | {
            "unknown_rate": self.unknown_rate,
            "seen_documents": self.num_seen_documents,
            "difference_bits_per_character": difference and difference.bits_per_character,
            "difference_interval": difference and difference.interval,
            "p_value": difference and difference.p_value,
        }


def compare(
    bundles: Sequence[Bundle],
    texts: Sequence[str],
    *,
    name: str,
    precision: Precision | None = None,
) -> list[ComparedModel]:
    """Evaluate each model on the same documents.

    Documents in which one of the tokenizers finds no word are left out for all.

    Args:
        name: description of the texts, for display.
        precision: None takes that of each manifest.

    Raises:
        CorpusError: there are fewer than two documents, or a model knows no word of them.
        BundleError: a bundle has no spelling model, or a file of it is damaged.
    """
    texts = [text for text in texts if all(bundle.tokenizer.tokenize(text) for bundle in bundles)]
    if not texts:
        raise CorpusError(
            f"{name} has no document in which every tokenizer finds a word",
            code="evaluation.no_word",
        )
    first, *others = [_score(bundle, texts, name, precision) for bundle in bundles]
    return [first, *(replace(model, difference=_difference(model, first)) for model in others)]


def comparison_table(names: Sequence[str], models: Sequence[ComparedModel]) -> MetricsTable:
    """Return models side by side, under the names that the user gave them."""
    return MetricsTable(
        ("", "perplexity", "unknown", "bits per character", "difference", "p"),
        [
            (
                name,
                f"{model.score.perplexity:,.1f}",
                f"{model.unknown_rate:.1%}",
                with_interval(model.score, "bits_per_character", ".3f"),
                *_difference_cells(model.difference),
            )
            for name, model in zip(names, models, strict=True)
        ],
    )


def comparison_notes(names: Sequence[str], models: Sequence[ComparedModel]) -> list[str]:
    """Say which models differ, and what makes the comparison invalid."""
    styles = [model.bundle.tokenizer.style for model in models]
    notes = [
        model.difference.finding(names[0], name)
        for name, model, style in zip(names, models, styles, strict=True)
        if model.difference is not None and style == styles[0]
    ]
    if len({model.bundle.vocabulary for model in models}) > 1:
        notes.append("Their vocabularies differ: their perplexities do not compare.")
    if len(set(styles)) > 1:
        notes.append(
            "Their tokenizers differ: one that drops characters need not predict them, so its bits "
            "are of another, easier text. No model is called better across tokenizers."
        )
    for name, model in zip(names, models, strict=True):
        if model.bundle.manifest.mixture:
            notes.append(f"{name} is compared as it is used: mixed with its n-gram model.")
        if model.num_seen_documents:
            notes.append(
                f"{model.num_seen_documents:,} of the documents are in the training text of "
                f"{name}: its metrics are too good."
            )
    return notes


def _difference_cells(difference: Difference | None) -> tuple[str, str]:
    if difference is None:
        return "–", "–"
    interval = format_interval(difference.interval, "+.3f")
    return f"{difference.bits_per_character:+.3f} ({interval})", f"{difference.p_value:.3f}"


def _score(
    bundle: Bundle, texts: Sequence[str], name: str, precision: Precision | None
) -> ComparedModel:
    text = HeldOutText(
        documents=[bundle.tokenizer.tokenize(text) for text in texts],
        name=name,
        tokenizer=bundle.tokenizer,
        vocabulary=bundle.vocabulary,
    )
    spelling = SpellingModel.of_bundle(bundle)
    if spelling is None:
        raise BundleError(
            f"bundle {bundle.path} has no spelling model, without which models do not compare: "
            + ("it was imported" if bundle.manifest.imported else "train it again"),
            code="bundle.no_spelling",
        )
    require_seen_tokens(text.stream, bundle)
    logs = predict(bundle.runtime(precision), text.stream).log_probabilities
    if bundle.manifest.mixture:
        logs = NgramBaseline.of_bundle(bundle).mixed(logs, text.stream)
    copies = bundle.copies()
    return ComparedModel(
        bundle=bundle,
        text=text,
        score=score(text, logs, spelling),
        bits=text.by_document(target_bits(text, logs, spelling)),
        num_seen_documents=(
            None if copies is None else count_seen(text.documents, copies, text.tokenizer)[0]
        ),
    )


def _difference(model: ComparedModel, first: ComparedModel) -> Difference:
    columns = (model.bits, model.text.num_characters, first.bits, first.text.num_characters)
    values_DK = np.column_stack(columns).astype(np.float64)
    bits, characters, first_bits, first_characters = resampled_totals(values_DK).T
    differences = bits / characters - first_bits / first_characters
    # Plus one on either side: no number of draws shows that something never happens.
    tail = min((differences <= 0).sum(), (differences >= 0).sum()) + 1
    totals = values_DK.sum(axis=0)
    return Difference(
        bits_per_character=float(totals[0] / totals[1] - totals[2] / totals[3]),
        interval=interval_of(differences),
        p_value=min(1.0, float(2 * tail / (len(differences) + 1))),
    )
