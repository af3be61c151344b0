"""What context and speakers are worth, against a runtime that reads one line at a time."""

import math
from pathlib import Path

import numpy as np
import pytest

from lorelm.bundle import Bundle
from lorelm.bundle.metrics import LineMetrics
from lorelm.corpus.vocabulary import EOS_ID
from lorelm.evaluation.lines import line_metrics
from lorelm.evaluation.perplexity import predict
from lorelm.evaluation.text import HeldOutText

SCENES = [
    ["OWL: Who is at the mill?", "HARE: I saw the mill. Oh! Oh!", "OWL: Where is the barn?"],
    [
        "OWL: What lies by the hill?",
        "OLD MOLE: I saw the hill. So it was.",
        "OWL: Who is at the hill?",
    ],
] * 6


@pytest.fixture(scope="module")
def bundle(scene_bundle: Path) -> Bundle:
    return Bundle.load(scene_bundle)


def held_out(bundle: Bundle, texts: list[str]) -> HeldOutText:
    return HeldOutText(
        name="scenes",
        tokenizer=bundle.tokenizer,
        vocabulary=bundle.vocabulary,
        documents=[bundle.tokenizer.tokenize(text) for text in texts],
    )


@pytest.fixture(scope="module")
def metrics(bundle: Bundle) -> LineMetrics:
    text = held_out(bundle, ["\n".join(lines) for lines in SCENES])
    found = line_metrics(bundle.runtime(), text, None, bundle.ngram()[0])
    assert found is not None
    return found


def test_words_in_context_cost_what_a_pass_over_the_scene_says(
    bundle: Bundle, metrics: LineMetrics
) -> None:
    losses = []
    for lines in SCENES:
        ids = bundle.vocabulary.encode(bundle.tokenizer.tokenize("\n".join(lines)))
        logs = predict(bundle.runtime(), ids).log_probabilities
        first = len(bundle.tokenizer.tokenize(lines[0]))
        special = [bundle.vocabulary.encode(["\n"])[0], *bundle.vocabulary.speakers.values()]
        is_word = ~np.isin(ids, special)
        is_word[:first] = False  # nothing is said before the first line
        losses += (-logs[is_word]).tolist()
    assert metrics.lines == 2 * len(SCENES)
    assert math.isclose(metrics.perplexity, math.exp(np.mean(losses)), rel_tol=1e-4)


def test_words_alone_cost_what_their_line_alone_does(bundle: Bundle, metrics: LineMetrics) -> None:
    losses = []
    for lines in SCENES:
        for line in lines[1:]:
            ids = bundle.vocabulary.encode(bundle.tokenizer.tokenize(line))
            losses += (-predict(bundle.runtime(), ids).log_probabilities[1:]).tolist()
    assert math.isclose(metrics.alone_perplexity, math.exp(np.mean(losses)), rel_tol=1e-4)


def test_speakers_with_a_manner_are_named(metrics: LineMetrics) -> None:
    assert metrics.speakers == 3  # not the one for all others
    assert metrics.speaker_majority == 0.5
    assert metrics.speaker_accuracy is not None
    assert metrics.ngram_speaker_accuracy is not None
    assert metrics.speaker_accuracy >= 0.7
    assert metrics.speaker_lines == metrics.lines
    assert metrics.speaker_accuracy_interval is not None
    low, high = metrics.speaker_accuracy_interval
    assert low < metrics.speaker_accuracy < high
    assert metrics.ngram_speaker_accuracy >= 0.7


def test_a_line_costs_more_without_its_speaker(metrics: LineMetrics) -> None:
    assert metrics.unnamed_perplexity is not None
    assert metrics.unnamed_perplexity > metrics.perplexity


def test_documents_of_one_line_have_no_lines_before(bundle: Bundle) -> None:
    text = held_out(bundle, [line for lines in SCENES for line in lines])
    assert line_metrics(bundle.runtime(), text, None, None) is None


def test_paragraphs_are_lines_without_speakers(tiny_bundle: Path) -> None:
    bundle = Bundle.load(tiny_bundle)
    text = held_out(bundle, ["The fox sat\nby the mill.\nThe owl slept by the hill."] * 2)
    found = line_metrics(bundle.runtime(), text, None, None)
    assert found is not None
    assert (found.lines, found.speakers, found.unnamed_perplexity) == (4, None, None)
    assert bundle.vocabulary.encode(["<eos>"])[0] == EOS_ID


def test_speakers_that_the_model_has_none_of_are_not_measured(tiny_bundle: Path) -> None:
    bundle = Bundle.load(tiny_bundle)
    tokenizer = bundle.tokenizer.with_speakers(["OWL"])
    text = HeldOutText(
        name="a test part of its own",
        tokenizer=tokenizer,
        vocabulary=bundle.vocabulary,
        documents=[tokenizer.tokenize("OWL: The fox sat.\nOWL: Who goes there?")] * 3,
    )
    found = line_metrics(bundle.runtime(), text, None, None)
    assert found is not None
    assert found.lines == 3
    assert found.unnamed_perplexity is None
