import pytest

from lorelm.bundle.metrics import LineMetrics, Metrics
from lorelm.evaluation.summary import (
    copies_table,
    describe_orders,
    describe_text,
    findings,
    prediction_table,
    structure_tables,
    summary_lines,
)


def metrics(**others: object) -> Metrics:
    return Metrics(
        **{
            "text": "tales",
            "documents": 1200,
            "tokens": 30_000,
            "characters": 90_000,
            "precision": "int8",
            "perplexity": 80.0,
            "perplexity_interval": (75.0, 85.0),
            "unknown_rate": 0.05,
            "unknown_rate_interval": (0.04, 0.06),
            "calibration_error": 0.02,
        }
        | others
    )


def counted(ratio_interval: tuple[float, float]) -> Metrics:
    return metrics(
        ngram_order=3,
        ngram_perplexity=100.0,
        ngram_perplexity_interval=(90.0, 110.0),
        ngram_ratio_interval=ratio_interval,
        mixture_weight=0.7,
        mixture_perplexity=75.0,
        mixture_perplexity_interval=(70.0, 80.0),
    )


def blended(perplexity: float, ratio: tuple[float, float], **others: object) -> Metrics:
    values: dict[str, object] = {
        "blend_model": "plays",
        "blend_share": 0.3,
        "blend_perplexity": perplexity,
        "blend_perplexity_interval": (1.0, 99.0),
        "blend_ratio_interval": ratio,
        "blend_seen_share": 0.0,
    }
    return metrics(**(values | others))


def copied(ours: float, human: float, excess: tuple[float, float]) -> Metrics:
    shares = {4: 0.3, 6: ours, 8: 0.0, 12: 0.0}
    distinct = {1: 0.3, 2: 0.6, 3: 0.9}
    return metrics(
        samples=100,
        sample_tokens=2000,
        copied_share=shares,
        longest_copy=9,
        distinct_share=distinct,
        human_copied_share=shares | {6: human},
        human_longest_copy=8,
        human_copied_lines_share=0.25,
        human_distinct_share=distinct,
        copied_excess_interval=dict.fromkeys(shares, excess),
    )


@pytest.mark.parametrize(
    ("of", "sentence"),
    [
        (counted((0.7, 0.9)), "Better than the n-gram model: the perplexity is 20% lower"),
        (counted((0.7, 1.1)), "As good as the n-gram model"),
        (
            counted((0.7, 0.9)).model_copy(
                update={"ngram_perplexity": 64.0, "ngram_ratio_interval": (1.1, 1.4)}
            ),
            "Not better than the n-gram model: the perplexity is 25% higher",
        ),
        (metrics(unknown_rate=0.2, bits_per_character=2.0), "20% of the words are unknown"),
        (copied(0.3, 0.01, (0.1, 0.4)), "It copies more than people do: 30.0% of its tokens"),
        (copied(0.02, 0.01, (-0.01, 0.03)), "It copies about as much as people do: 2.0% of its"),
        (copied(0.0, 0.01, (-0.02, -0.01)), "It copies less than people do: 0.0% of its tokens"),
        (
            blended(72.0, (0.85, 0.95)),
            "Blending with plays helps: the perplexity is 10.0% lower (between 5.0% and 15.0%).",
        ),
        (blended(88.0, (1.05, 1.2)), "Blending with plays does not help: the perplexity is 10.0%"),
        (blended(80.0, (0.95, 1.02)), "Blending with plays makes no difference that cannot be"),
        (
            blended(40.0, (0.4, 0.6), blend_seen_share=0.5),
            "plays was trained on this text: 50% of its tokens are in documents of that",
        ),
        (metrics(seen_share=0.4), "The model was trained on this text: 40% of its tokens"),
    ],
)
def test_each_question_has_a_plain_answer(of: Metrics, sentence: str) -> None:
    [finding] = findings(of)
    assert finding.startswith(sentence)


def test_what_a_blend_leaves_out_is_said() -> None:
    of = blended(72.0, (0.85, 0.95), blend_seen_share=None, blend_lacks_mixture=True)
    first, unknown, alone = findings(of)
    assert first.startswith("Blending with plays helps")
    assert unknown == (
        "Whether plays was trained on this text is not known: it carries no index of its training "
        "text."
    )
    assert alone.startswith("This blend is of the networks alone")


def test_metrics_that_are_missing_have_no_finding() -> None:
    assert findings(metrics()) == findings(metrics(unknown_rate=0.2)) == []
    assert copies_table(metrics()) is None
    [row] = prediction_table(metrics()).rows
    assert row == ("network (int8)", "80.0 (75.0 – 85.0)", "–")


def test_the_tables_hold_the_metrics() -> None:
    assert [row[0] for row in prediction_table(counted((0.7, 0.9))).rows] == [
        "network (int8)",
        "n-gram model (order 3)",
        "mixture (70% network)",
    ]
    assert prediction_table(blended(72.0, (0.8, 0.9))).rows[1][:2] == (
        "network blended with 30% plays",
        "72.0 (1.0 – 99.0)",
    )
    table = copies_table(copied(0.3, 0.01, (0.1, 0.4)))
    assert table is not None
    rows = {name: (ours, human) for name, ours, human in table.rows}
    assert rows["tokens in spans of 6 or more"] == ("30.0%", "1.0%")
    assert rows["longest span, tokens"] == ("9", "8")
    assert rows["whole lines, of all lines"] == ("–", "25.0%")
    assert rows["different among all (pairs)"] == ("60.0%", "60.0%")


@pytest.mark.parametrize("update", [{"sample_tokens": 100}, {"tokens": 100}])
def test_too_little_text_has_no_finding_on_copies(update: dict[str, int]) -> None:
    [finding] = findings(copied(0.3, 0.0, (0.1, 0.4)).model_copy(update=update))
    assert finding.startswith("There is too little text to say whether it copies")


def test_whole_lines_that_the_split_prevents_are_explained() -> None:
    both = copied(0.02, 0.01, (-0.01, 0.03)).model_copy(
        update={"copied_lines_share": 0.1, "human_copied_lines_share": 0.0}
    )
    assert findings(both)[-1].startswith("No whole line of the text by people")


def test_the_orders_stand_in_a_line() -> None:
    assert describe_orders(metrics()) is None
    shown = describe_orders(metrics(ngram_perplexities=(1150.49, 85.9, 82.5)))
    assert shown == "n-gram models of order 1 to 3: perplexity 1,150.5, 85.9, 82.5"


def test_the_text_is_described_in_a_line() -> None:
    assert describe_text(metrics()).startswith(
        "tales: 1,200 documents, 30,000 tokens, 5.0% of the words unknown (4.0% – 6.0%)"
    )


def lines(**others: object) -> LineMetrics:
    return LineMetrics(
        **{"lines": 200, "perplexity": 99.4, "alone_perplexity": 100.0, "bits_per_character": 2.0}
        | others
    )


def speakers(accuracy: float = 0.2, interval: tuple[float, float] = (0.17, 0.24)) -> LineMetrics:
    return lines(
        unnamed_perplexity=101.95,
        speakers=40,
        speaker_lines=190,
        speaker_accuracy=accuracy,
        speaker_accuracy_interval=interval,
        speaker_majority=0.16,
        ngram_speaker_accuracy=0.18,
    )


@pytest.mark.parametrize(
    ("structure", "sentence"),
    [
        (lines(), "The lines before are worth 0.6% of the perplexity."),
        (lines(alone_perplexity=99.4), "The lines before are worth nothing."),
        (
            lines(alone_perplexity=98.4),
            "The lines before are worth nothing (the perplexity is 1.0% higher with it).",
        ),
        (
            speakers(),
            "The lines before are worth 0.6% of the perplexity, the speaker 2.5% of the "
            "perplexity; the network names 20% of the speakers rightly, and always the commonest "
            "would be 16%.",
        ),
        (
            speakers(0.19, (0.14, 0.25)),
            "The lines before are worth 0.6% of the perplexity, the speaker 2.5% of the "
            "perplexity; the network names 19% of the speakers rightly, and always the commonest "
            "would be 16%, a difference that may be chance.",
        ),
    ],
)
def test_what_lines_and_speakers_are_worth_is_said(structure: LineMetrics, sentence: str) -> None:
    assert findings(metrics(structure=structure)) == [sentence]


def test_of_a_few_lines_nothing_is_said() -> None:
    assert findings(metrics(structure=lines(lines=19))) == []


def test_lines_and_speakers_have_tables() -> None:
    with_and_without, named = structure_tables(speakers())
    assert with_and_without.columns[0] == "words of 200 lines"
    assert with_and_without.rows == [
        ("with the lines before and the speaker", "99.4", "2.000"),
        ("without the lines before", "100.0", "–"),
        ("without the speaker", "102.0", "–"),
    ]
    assert named.columns[0] == "speaker of 190 lines, out of 40"
    assert named.rows == [
        ("network", "20.0% (17.0% – 24.0%)"),
        ("n-gram model", "18.0%"),
        ("always the commonest", "16.0%"),
    ]
    [table] = structure_tables(lines())
    assert [row[0] for row in table.rows] == ["with the lines before", "without the lines before"]


def test_nothing_is_said_of_documents_of_one_line() -> None:
    assert structure_tables(None) == []
    assert not any("line" in line for line in summary_lines(metrics()))
    assert "words of 200 lines" in "\n".join(summary_lines(metrics(structure=lines())))


def test_a_mixture_that_is_the_default_comes_first() -> None:
    mixed = counted((1.1, 1.4)).model_copy(update={"is_mixed": True})
    assert [row[0] for row in prediction_table(mixed).rows] == [
        "mixture (70% network), the default",
        "network (int8) alone",
        "n-gram model (order 3)",
    ]
    assert findings(mixed)[1].startswith("On the validation part counting was better")
