import base64
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser
from tests.errors import raises_code

from lorelm.bundle import Bundle
from lorelm.bundle.layout import METRICS
from lorelm.corpus.documents import Documents
from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.corpus.vocabulary import Vocabulary
from lorelm.errors import InputError
from lorelm.evaluation.evaluate import EvaluationSettings, evaluate_bundle
from lorelm.evaluation.measure import EvaluationResult
from lorelm.evaluation.memorisation import TrainingText, WrittenText, find_copies
from lorelm.evaluation.report.copies import excerpt, show_sample
from lorelm.evaluation.report.page import render_report, write_report
from lorelm.evaluation.report.plots import render_plots
from lorelm.evaluation.report.surprisal import ShownDocument, hardest_and_easiest
from lorelm.evaluation.summary import findings
from lorelm.evaluation.text import HeldOutText
from lorelm.ngrams.matches import covered, longest_spans
from lorelm.typing import Floats

pytestmark = pytest.mark.system

VOID = {"br", "img", "link", "meta"}


class Element:
    """An element of a page.

    Attributes:
        texts: all text in it, in order, each with whether it stands in a `<mark>`.
    """

    def __init__(self, tag: str, attributes: dict[str, str | None]) -> None:
        self.tag = tag
        self.attributes = attributes
        self.texts: list[tuple[str, bool]] = []

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.texts)

    @property
    def classes(self) -> list[str]:
        return (self.attributes.get("class") or "").split()


class Page(HTMLParser):
    """The elements of a page in the order of their beginning; it fails if tags do not balance."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(page)
        self.close()
        assert [element.tag for element in self._open] == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.elements.append(Element(tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(self.elements[-1])

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1].tag == tag
        self._open.pop()

    def handle_data(self, data: str) -> None:
        is_marked = any(element.tag == "mark" for element in self._open)
        for element in self._open:
            element.texts.append((data, is_marked))

    def all(self, tag: str, **attributes: str) -> list[Element]:
        return [
            element
            for element in self.elements
            if element.tag == tag and attributes.items() <= element.attributes.items()
        ]

    def section(self, name: str) -> Element:
        (section,) = self.all("section", id=name)
        return section

    @property
    def shown_text(self) -> str:
        return self.all("body")[0].text


@pytest.fixture(scope="module")
def result(bundle: Bundle, tales: Documents) -> EvaluationResult:
    return evaluate_bundle(bundle, EvaluationSettings(num_samples=8), documents=tales)


@pytest.fixture(scope="module")
def page(bundle: Bundle, result: EvaluationResult) -> Page:
    return Page(render_report(bundle, result))


def text_of(*documents: str) -> HeldOutText:
    tokenizer = make_tokenizer("words")
    return HeldOutText(
        documents=[tokenizer.tokenize(document) for document in documents],
        name="a text",
        tokenizer=tokenizer,
        vocabulary=Vocabulary(["<unk>", "<eos>", "a", "b", "￭."]),
    )


def logs_of_bits(*bits: float) -> Floats:
    return -np.array(bits) * math.log(2)


def with_surprise(result: EvaluationResult, text: HeldOutText, logs: Floats) -> EvaluationResult:
    """A result in which a network gave another text these log probabilities."""
    network = replace(result.network, log_probabilities=logs)
    return replace(result, text=text, network=network, target_bits=-logs / math.log(2))


def words(document: ShownDocument) -> str:
    return "".join(token.space + token.text for token in document.tokens)


def test_the_page_has_every_section(page: Page) -> None:
    assert page.all("h1")[0].text == "Evaluation of a model of tales.txt"
    assert [section.attributes["id"] for section in page.all("section")] == [
        *("findings", "prediction", "structure", "copies", "curves", "calibration", "length"),
        *("documents", "samples", "settings"),
    ]
    assert len(page.all("h2")) == 10
    assert all(th.attributes["scope"] in ("col", "row") for th in page.all("th"))
    assert all(img.attributes["alt"] for img in page.all("img"))


def test_the_page_says_what_was_evaluated_and_what_it_means(
    page: Page, bundle: Bundle, result: EvaluationResult
) -> None:
    header = page.all("header")[0].text
    assert "the test part of tales.txt: 18 documents" in header
    assert "int8 weights" in header
    assert bundle.manifest.created_by in header
    for sentence in findings(result.metrics):
        assert sentence in page.section("findings").text


def test_the_tables_hold_the_metrics(page: Page, result: EvaluationResult) -> None:
    metrics = result.metrics
    prediction = page.section("prediction").text
    low, high = metrics.perplexity_interval
    for value in (
        f"{metrics.perplexity:.1f} ({low:.1f} – {high:.1f})",
        f"{metrics.ngram_bits_per_character:.3f}",
        f"{metrics.mixture_perplexity:.1f}",
        *(f"{perplexity:.1f}" for perplexity in metrics.ngram_perplexities),
    ):
        assert value in prediction
    copies = page.section("copies").text
    assert metrics.copied_share is not None
    assert metrics.human_distinct_share is not None
    for share in (*metrics.copied_share.values(), *metrics.human_distinct_share.values()):
        assert f"{share:.1%}" in copies
    assert f"{metrics.longest_copy}" in copies
    assert "embedding size12" in page.section("settings").text


def test_the_page_needs_nothing_else(bundle: Bundle, result: EvaluationResult, page: Page) -> None:
    assert not {"script", "iframe", "object", "base"} & {of.tag for of in page.elements}
    assert [each.attributes["rel"] for each in page.all("link")] == ["icon"]
    for element in page.elements:
        for name, value in element.attributes.items():
            assert not name.startswith("on")
            assert name not in ("srcset", "action", "style")
            is_address = name in ("src", "href")
            assert not is_address or (value or "").startswith("data:image/svg+xml;base64,")
    css = page.all("style")[0].text
    assert "url(" not in css
    assert "@import" not in css
    assert "http" not in render_report(bundle, result).replace("http-equiv", "")


def test_the_plots_are_in_the_page(page: Page, bundle: Bundle, result: EvaluationResult) -> None:
    images = [
        base64.b64decode((img.attributes["src"] or "").partition(",")[2]) for img in page.all("img")
    ]
    assert images == list(render_plots(bundle, result, "svg").values())


def test_every_token_of_the_extreme_documents_is_shown(
    page: Page, result: EvaluationResult
) -> None:
    surprises = -result.network.log_probabilities / math.log(2)
    ends = np.cumsum(result.text.num_targets)
    means = [events.mean() for events in np.split(surprises, ends[:-1])]
    hardest = int(np.argmax(means))
    first = ends[hardest] - result.text.num_targets[hardest]
    shown = [span for span in page.all("span") if "title" in span.attributes]
    for span, bits in zip(shown, surprises[first : ends[hardest]], strict=False):
        assert (span.attributes["title"] or "").endswith(f"{bits:.1f} bits")
    document = result.text.tokenizer.detokenize(result.text.documents[hardest])
    paragraph = next(p for p in page.all("p") if "text" in p.classes)
    assert paragraph.text.replace(" ↵", "\n") == f"{document} end"


def test_surprisal_worked_by_hand(bundle: Bundle, result: EvaluationResult) -> None:
    text = text_of("a\nb c a.", "b a b a b")
    logs = logs_of_bits(1, 2, 3.25, 7.9, 0.5, 20, 9, *[1] * 6)
    page = Page(render_report(bundle, with_surprise(result, text, logs)))
    shown = [
        (span.text, span.attributes["title"], *span.classes)
        for span in page.all("span")
        if "title" in span.attributes
    ]
    assert shown[:7] == [
        ("a", "1.0 bits", "word", "level-0"),
        ("↵", "end of the line: 2.0 bits", "line-end", "level-1"),
        ("b", "3.2 bits", "word", "level-1"),
        ("c", "unknown word: 7.9 bits", "unknown", "level-3"),
        ("a", "0.5 bits", "word", "level-0"),
        (".", "20.0 bits", "word", "level-6"),
        ("end", "end of the document: 9.0 bits", "end", "level-4"),
    ]
    assert [p.text for p in page.all("p") if "text" in p.classes][:2] == [
        "a ↵b c a. end",
        "b a b a b end",
    ]
    assert "6.2 bits per token, 6 tokens; the highest surprisal: ., 20.0 bits" in page.shown_text


def test_the_legend_names_each_strength(page: Page) -> None:
    names = {
        span.classes[0]: span.text for span in page.all("span") if not span.attributes.get("title")
    }
    assert names["level-0"] == "0–2"
    assert names["level-5"] == "10–12"
    assert names["level-6"] == "12 or more bits"
    css = page.all("style")[0].text
    used = {name for span in page.all("span") for name in span.classes if name != "level-0"}
    assert used - {"word"} <= set(re.findall(r"\.([a-z-]+\d?)\b", css))


def test_hardest_and_easiest_share_no_document_and_leave_short_ones_out() -> None:
    text = text_of("a a a a a", "b a a a a", "a b a a a", "a b")
    logs = logs_of_bits(*[2] * 6, *[1] * 6, *[3] * 6, *[9] * 3)
    hardest, easiest = hardest_and_easiest(text, -logs / math.log(2))
    assert [words(document) for document in hardest] == ["a b a a a end", "a a a a a end"]
    assert [words(document) for document in easiest] == ["b a a a a end"]
    assert [document.bits_per_token for document in hardest] == pytest.approx([3, 2])


def test_at_most_five_documents_at_each_end() -> None:
    text = text_of(*["a b a b a b"] * 20)
    hardest, easiest = hardest_and_easiest(text, np.repeat(np.arange(20.0), 7))
    assert [document.bits_per_token for document in hardest] == pytest.approx([19, 18, 17, 16, 15])
    assert [document.bits_per_token for document in easiest] == pytest.approx([0, 1, 2, 3, 4])


def test_of_a_long_document_the_beginning_is_shown(
    bundle: Bundle, result: EvaluationResult
) -> None:
    text = text_of("a b " * 5000, "a b a b a")
    logs = logs_of_bits(*[3] * 10001, *[1] * 6)
    hardest, _ = hardest_and_easiest(text, -logs / math.log(2))
    assert len(hardest[0].tokens) == 250
    assert hardest[0].bits_per_token == pytest.approx(3)
    shown = Page(render_report(bundle, with_surprise(result, text, logs))).section("documents").text
    assert "10,000 tokens of which the first 250 are shown; the highest" in shown
    assert "a b …" in shown


def test_texts_without_a_long_enough_document_have_no_such_section(
    bundle: Bundle, result: EvaluationResult
) -> None:
    text = text_of("a b", "b")
    page = Page(render_report(bundle, with_surprise(result, text, logs_of_bits(1, 1, 1, 1, 1))))
    assert page.all("section", id="documents") == []


def test_exactly_the_copied_tokens_are_marked(page: Page, result: EvaluationResult) -> None:
    assert result.samples is not None
    shown = page.section("samples").text
    numbers = [int(number) for number in re.findall(r"Sample (\d+) of 8", shown)]
    assert sorted(numbers) == list(range(1, 9))
    paragraphs = [p for p in page.all("p") if "text" in p.classes][-8:]
    any_marked = 0
    for number_, paragraph in zip(numbers, paragraphs, strict=True):
        sample = result.samples.texts[number_ - 1]
        is_copied = covered(result.samples.matches[number_ - 1].lengths, min_length=4)
        expected = [
            (character, bool(copied))
            for token, copied in zip(sample.tokens, is_copied, strict=True)
            for character in result.text.tokenizer.piece(token, None).strip()
        ]
        found = [(c, marked) for text, marked in paragraph.texts for c in text if not c.isspace()]
        assert found == expected + [("…", False)] * (not sample.is_complete)
        text = result.text.tokenizer.detokenize(sample.tokens)
        assert paragraph.text.removesuffix(" …") == text
        any_marked += is_copied.any()
    assert any_marked


def test_the_longest_copies_come_first(page: Page) -> None:
    shown = page.section("samples").text
    longest = [int(n) for n in re.findall(r"the longest copied span has (\d+)", shown)]
    assert longest == sorted(longest, reverse=True)


def test_a_mark_says_how_long_the_span_is_and_where_it_comes_from(
    page: Page, result: EvaluationResult
) -> None:
    assert isinstance(result.index, TrainingText)
    assert result.samples is not None
    titles = " ".join(mark.attributes.get("title") or "" for mark in page.all("mark"))
    for place in range(len(result.samples.texts)):
        for span in longest_spans(result.samples.matches[place], min_length=4):
            document = " ".join(result.index.document_at(span.position).split())
            assert f"a span of {span.length} tokens, in “{document}”" in titles


def test_spans_that_overlap_are_marked_in_parts() -> None:
    tokenizer = make_tokenizer("words")
    training = ["one two three four five.", "four five. six seven"]
    index = TrainingText([tokenizer.tokenize(text) for text in training], tokenizer)
    sample = WrittenText(tokens=tokenizer.tokenize("No, one two three four five. six seven!"))
    samples = find_copies([sample], index, tokenizer)
    shown = show_sample(samples, 0, tokenizer, index)
    first, second = shown.spans
    assert (first.text, first.end - first.start) == ("one two three four five.", 6)
    assert (second.text, second.end - second.start) == ("four five. six seven", 5)
    assert [(part.space, part.text, list(part.spans)) for part in shown.parts] == [
        ("", "No,", []),
        (" ", "one two three", [first]),
        (" ", "four five.", [first, second]),
        (" ", "six seven", [second]),
        ("", "!", []),
    ]
    assert shown.copied_share == pytest.approx(8 / 11)
    assert second.description == "a span of 5 tokens, in “four five. six seven”"


def test_without_the_training_text_a_mark_says_the_length_alone(
    bundle: Bundle, tales: Documents
) -> None:
    evaluated = evaluate_bundle(
        bundle,
        EvaluationSettings(num_samples=4),
        documents=replace(tales, texts=[*tales.texts[:20], "The fox saw the owl."]),
    )
    page = Page(render_report(bundle, evaluated))
    titles = {mark.attributes["title"] for mark in page.all("mark") if mark.attributes}
    assert titles
    assert all(re.fullmatch(r"(a span of \d+ tokens(; |$))+", title or "") for title in titles)


def test_of_a_long_document_the_part_around_the_span_is_quoted() -> None:
    document = "word " * 100 + "here it\nis " + "tail " * 100
    assert excerpt(document, "here it\nis") == (
        "… " + "word " * 14 + "here it is " + "tail " * 14 + "…"
    )
    assert excerpt(document, "not in it").startswith("word word ")
    assert excerpt("a short\none", "short") == "a short one"
    assert excerpt("字" * 300, "字") == "字" * 160 + " …"


def test_what_people_wrote_is_escaped(bundle: Bundle, tales: Documents) -> None:
    nasty = """The fox said: <script>alert("1 & 2")</script> <b title='x'>"""
    evaluated = evaluate_bundle(
        bundle,
        EvaluationSettings(num_samples=4),
        documents=Documents(texts=[nasty, *tales.texts[:3]], source='<i>"x".txt'),
    )
    page = Page(render_report(bundle, evaluated))
    assert not {"script", "b", "i"} & {element.tag for element in page.elements}
    assert f"{nasty} end" in [p.text for p in page.all("p")]
    assert '<i>"x".txt' in page.all("header")[0].text


def test_half_a_character_is_no_obstacle(
    bundle: Bundle, result: EvaluationResult, tmp_path: Path
) -> None:
    text = text_of("a b a b \ud800", "a b a b a")
    write_report(tmp_path / "r.html", bundle, with_surprise(result, text, np.full(12, -1.0)))
    assert Page((tmp_path / "r.html").read_text(encoding="utf-8")).section("documents")


def test_a_missing_metric_is_a_dash_or_left_out(older_bundle: Path, tales: Documents) -> None:
    (older_bundle / METRICS).unlink()
    bundle = Bundle.load(older_bundle)
    evaluated = evaluate_bundle(
        bundle,
        EvaluationSettings(num_samples=0, interpolate=False),
        documents=tales,
    )
    page = Page(render_report(bundle, evaluated))
    assert [section.attributes["id"] for section in page.all("section")] == [
        *("prediction", "structure", "calibration", "length", "documents", "settings")
    ]
    assert page.all("td")[2].text == "–"  # bits per character, without a model of spelling
    assert not re.search(r"\b(None|nan|inf|null)\b", page.shown_text)


def test_what_speakers_are_worth_has_a_section(scene_bundle: Path) -> None:
    bundle = Bundle.load(scene_bundle)
    evaluated = evaluate_bundle(bundle, EvaluationSettings(num_samples=0))
    section = Page(render_report(bundle, evaluated)).section("structure").text
    structure = evaluated.metrics.structure
    assert structure is not None
    for value in (structure.unnamed_perplexity, structure.alone_perplexity, structure.perplexity):
        assert f"{value:,.1f}" in section
    assert f"{structure.speaker_accuracy:.1%}" in section
    assert f"{structure.speaker_majority:.1%}" in section


def test_documents_of_one_line_have_no_section(bundle: Bundle, result: EvaluationResult) -> None:
    metrics = result.metrics.model_copy(update={"structure": None})
    page = Page(render_report(bundle, replace(result, metrics=metrics)))
    assert "structure" not in [section.attributes["id"] for section in page.all("section")]


def test_no_figure_is_shown_as_python_writes_nothing(page: Page) -> None:
    assert not re.search(r"\b(None|nan|inf|null)\b", page.shown_text)


def test_an_empty_and_a_cut_off_sample_are_shown_as_such(
    bundle: Bundle, result: EvaluationResult
) -> None:
    tokenizer = result.text.tokenizer
    texts = [
        WrittenText(tokens=[]),
        WrittenText(tokens=tokenizer.tokenize("The owl\nThe"), is_complete=False),
    ]
    assert result.index is not None
    samples = find_copies(texts, result.index, tokenizer)
    page = Page(render_report(bundle, replace(result, samples=samples)))
    paragraphs = [p.text for p in page.all("p") if "text" in p.classes][-2:]
    assert paragraphs == ["The owl\nThe …", "(empty)"]


def test_a_report_takes_the_place_of_an_old_one_and_leaves_nothing_else(
    bundle: Bundle, result: EvaluationResult, tmp_path: Path
) -> None:
    path = tmp_path / "new folder" / "report.html"
    write_report(path, bundle, result)
    first = path.read_bytes()
    path.write_text("old")
    write_report(path, bundle, result)
    assert path.read_bytes() == first
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        (".", "output.not_a_file"),
        ("file/deeper/report.html", "output.not_a_folder"),
        ("file/report.html", "output.not_a_folder"),
        ("x" * 300, "output.unwritable"),
    ],
)
def test_a_path_that_cannot_be_written_is_explained(
    bundle: Bundle, result: EvaluationResult, tmp_path: Path, name: str, code: str
) -> None:
    (tmp_path / "file").write_text("mine")
    with raises_code(InputError, code):
        write_report(tmp_path / name, bundle, result)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_it_on_a_phone_and_asks_for_nothing(
    browser: Browser, bundle: Bundle, result: EvaluationResult, tmp_path: Path, scheme: str
) -> None:
    text = text_of("a b " + "x" * 300 + " a b", "a b a b a")
    wide_table = {"ngram_perplexity": 1e24, "ngram_perplexity_interval": (1e24, 1e25)}
    metrics = result.metrics.model_copy(update=wide_table)
    too_wide = with_surprise(result, text, np.full(len(text.stream), -1.0))
    write_report(tmp_path / "report.html", bundle, replace(too_wide, metrics=metrics))
    address = (tmp_path / "report.html").as_uri()
    page = browser.new_page(
        viewport={"width": 380, "height": 800},
        color_scheme=scheme,  # type: ignore[arg-type]
    )
    requests: list[str] = []
    messages: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: messages.append(message.text))
    page.goto(address)
    for details in page.locator("details").all():
        details.locator("summary").click()
    overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    smallest = page.evaluate(
        "Math.min(...[...document.querySelectorAll('p, li, td, th, caption, figcaption, mark')]"
        ".map(e => parseFloat(getComputedStyle(e).fontSize)))"
    )
    widths = page.evaluate("[...document.images].map(i => [i.naturalWidth, i.clientWidth])")
    page.close()
    assert [url for url in requests if not url.startswith("data:")] == [address]
    assert messages == []  # the security policy, for one, complains there
    assert overflow <= 0
    assert smallest >= 13
    assert len(widths) == 3
    assert all(natural > 300 and 300 < shown <= 380 for natural, shown in widths)
