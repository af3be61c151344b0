"""A play in Word has its speakers, however its names are set; prose stays prose."""

from collections.abc import Callable, Sequence
from html import escape

import pytest
from tests.corpus.formats.samples import SPEECHES, docx, docx_paragraph, odt

from lorelm.corpus.documents import Documents

TURNS = [f"{name}: {speech}" for name, speech in SPEECHES]
SPEAKERS = {"ANNA": 4, "BEN": 4, "CLARA": 2}


def run(text: str, *properties: str) -> str:
    tags = "".join(f"<w:{name}/>" for name in properties)
    pieces = "<w:tab/>".join(
        f'<w:t xml:space="preserve">{escape(piece)}</w:t>' for piece in text.split("\t")
    )
    return f"<w:r><w:rPr>{tags}</w:rPr>{pieces}</w:r>"


def paragraph(*runs: str) -> str:
    return f"<w:p>{''.join(runs)}</w:p>"


def word_table(rows: Sequence[Sequence[str]]) -> str:
    def cell(text: str) -> str:
        return f"<w:tc><w:tcPr/>{docx_paragraph(escape(text))}</w:tc>"

    lines = "".join(f"<w:tr>{''.join(map(cell, row))}</w:tr>" for row in rows)
    return f"<w:tbl>{lines}</w:tbl>"


def turns_of(documents: Documents) -> list[str]:
    assert documents.kind == "script"
    return [line for text in documents.texts for line in text.split("\n")]


IN_WORD: dict[str, Callable[[str, str], str]] = {
    "bold name and tab": lambda name, speech: paragraph(run(name, "b"), run(f"\t{speech}")),
    "bold tab": lambda name, speech: paragraph(run(f"{name}\t", "b"), run(speech)),
    "bold name in two runs": lambda name, speech: paragraph(
        run(name[:1], "b"), run(name[1:], "b"), run(f"\t{speech}")
    ),
    "bold name and full stop": lambda name, speech: paragraph(
        run(f"{name}.", "b"), run(f"\t{speech}")
    ),
    "bold name and colon": lambda name, speech: paragraph(
        run(name, "b"), run(":"), run(f"\t{speech}")
    ),
    "bold name and space": lambda name, speech: paragraph(run(name, "b"), run(f" {speech}")),
    "capitals and tab": lambda name, speech: paragraph(run(f"{name}\t{speech}")),
    "capitals above": lambda name, speech: docx_paragraph(name) + docx_paragraph(speech),
    "bold capitals above": lambda name, speech: paragraph(run(name, "b")) + docx_paragraph(speech),
    "style above": lambda name, speech: docx_paragraph(name, "Character") + docx_paragraph(speech),
    "table": lambda name, speech: word_table([(name, speech)]),
}


@pytest.mark.parametrize("layout", IN_WORD)
def test_a_play_in_word_has_its_speakers(read, layout: str) -> None:
    documents = read("a.docx", docx("".join(IN_WORD[layout](*turn) for turn in SPEECHES)))
    assert turns_of(documents) == TURNS
    assert documents.speakers == SPEAKERS


@pytest.mark.parametrize("layout", ["bold name and tab", "bold name and space", "style above"])
def test_names_need_no_capitals_where_they_stand_out(read, layout: str) -> None:
    body = "".join(IN_WORD[layout](f"Mrs. {name.title()}", text) for name, text in SPEECHES)
    documents = read("a.docx", docx(body))
    assert documents.speakers == {f"Mrs. {name.title()}": n for name, n in SPEAKERS.items()}


def bold_above(turns: Sequence[tuple[str, str]]) -> str:
    return "".join(paragraph(run(name, "b")) + docx_paragraph(text) for name, text in turns)


@pytest.mark.parametrize("names", [("Anna", "Ben", "Mrs. Clara Rook"), ("Anna", "Ben", "Anna")])
def test_names_in_bold_stand_above_speeches(read, names: tuple[str, str, str]) -> None:
    named = dict(zip(SPEAKERS, names, strict=True))
    said = [(named[name], f"{speech} Is it?") for name, speech in SPEECHES]
    documents = read("a.docx", docx(bold_above(said)))
    assert turns_of(documents) == [f"{name}: {speech}" for name, speech in said]
    assert documents.warnings == ()


def test_bold_names_may_be_words_that_are_headings_elsewhere(read) -> None:
    names = dict(zip(SPEAKERS, ("Oedipus", "Chorus", "Jocasta"), strict=True))
    said = [(names[name], f"{speech} Is it?") for name, speech in SPEECHES]
    documents = read("a.docx", docx(bold_above(said)))
    assert turns_of(documents) == [f"{name}: {speech}" for name, speech in said]
    assert documents.notes[0] == (
        "Bold names are read as speakers: Oedipus, Chorus, Jocasta. If they are headings, choose "
        "document (--document) 'paragraph'."
    )


def test_names_in_capitals_need_no_note(read) -> None:
    documents = read("a.docx", docx("".join(IN_WORD["capitals above"](*t) for t in SPEECHES)))
    assert not any("Bold" in note for note in documents.notes)


def test_a_bold_word_that_recurs_only_above_is_no_name_beside(read) -> None:
    """Headings that are dropped do not make a word in bold before a text one that recurs."""
    headings = bold_above([("Costs", "It went well."), ("Staff", "It went well.")] * 2)
    beside = [paragraph(run(name, "b"), run(f" {text}")) for name, text in SPEECHES]
    odd = paragraph(run("Costs", "b"), run(" are high."))
    documents = read("a.docx", docx("".join([*beside * 2, headings, odd])))
    assert "Costs" not in documents.speakers


FORMS = {
    "a list for and against": [(name, "What if? No!") for name in ("Pros", "Cons")] * 6,
    "Vorteile": [(name, "Was kostet es?") for name in ("Vorteile", "Nachteile")] * 6,
    "appraisals": [
        (name, "Why not more?") for name in ("Strengths", "Actions", "Strengths", "Weaknesses")
    ]
    * 5,
    "headings": [(name, "It went well.") for name in ("Costs", "Risks", "Costs", "Staff")] * 5,
    "recipes": [(name, "Why not? Whisk!") for name in ("Ingredients", "Method")] * 6,
    "meals": [(name, "What did you eat?") for name in ("Breakfast", "Lunch", "Dinner")] * 6,
    "each once": [(f"{a}{b}", "Who is it?") for a in "ABC" for b in ("nna", "en", "im", "o")],
}


@pytest.mark.parametrize("name", FORMS)
def test_bold_headings_are_no_names(read, name: str) -> None:
    assert read("a.docx", docx(bold_above(FORMS[name]))).kind == "paragraphs"


def test_a_style_may_set_the_name_in_capitals(read) -> None:
    body = "".join(
        paragraph(run(name.title(), "caps"), run(f"\t{speech}")) for name, speech in SPEECHES
    )
    assert read("a.docx", docx(body)).speakers == {"Anna": 4, "Ben": 4, "Clara": 2}


def test_directions_and_headings_of_a_play(read) -> None:
    turns = [
        docx_paragraph(name) + paragraph(run("quietly", "i")) + docx_paragraph(speech)
        for name, speech in SPEECHES
    ]
    body = "".join(
        [
            docx_paragraph("THE MILL", "Title"),
            docx_paragraph("A play by nobody"),
            docx_paragraph("The kitchen", "Heading1"),
            *turns[:5],
            docx_paragraph("She goes on for a while."),
            paragraph(run("The lamp goes out.", "i")),
            docx_paragraph("(Nobody moves.)"),
            docx_paragraph("The garden", "Heading1"),
            *turns[5:],
            docx_paragraph("BLACKOUT"),
        ]
    )
    quietly = [f"{name}: (quietly) {speech}" for name, speech in SPEECHES]
    assert turns_of(read("a.docx", docx(body))) == [
        "[A play by nobody]",
        *quietly[:5],
        "She goes on for a while.",
        "[The lamp goes out.]",
        "[Nobody moves.]",
        *quietly[5:],
    ]


def test_who_speaks_once_has_a_name_but_a_bold_word_is_none(read) -> None:
    said = [paragraph(run(name, "b"), run(f"\t{speech}")) for name, speech in SPEECHES]
    servant = paragraph(run("SERVANT", "b"), run("\tDinner is served."))
    more = paragraph(run("Never", "b"), run(" again."))
    documents = read("a.docx", docx("".join([*said, servant, more])))
    assert documents.speakers == {**SPEAKERS, "SERVANT": 1}
    assert "SERVANT: Dinner is served.\nNever again." in "\n".join(documents.texts)


def test_a_table_of_a_play_may_have_a_head_and_rows_without_a_name(read) -> None:
    rows = [("Who", "What"), *SPEECHES, ("", "(They laugh.)")]
    turns = turns_of(read("a.docx", docx(word_table(rows))))
    assert turns[-len(TURNS) - 1 :] == [*TURNS, "[They laugh.]"]
    assert not any(turn.startswith("Who:") for turn in turns)


STYLES = (
    "<style:style style:name='T1'><style:text-properties fo:font-weight='bold'/></style:style>"
    "<style:style style:name='P1'><style:text-properties fo:font-style='italic'/></style:style>"
)
IN_ODT: dict[str, Callable[[str, str], str]] = {
    "bold name and tab": lambda name, speech: (
        f"<text:p><text:span text:style-name='T1'>{name.title()}</text:span><text:tab/>{speech}"
        "</text:p>"
    ),
    "capitals above": lambda name, speech: f"<text:p>{name}</text:p><text:p>{speech}</text:p>",
    "table": lambda name, speech: (
        f"<table:table-row><table:table-cell><text:p>{name}</text:p></table:table-cell>"
        f"<table:table-cell><text:p>{speech}</text:p></table:table-cell></table:table-row>"
    ),
}


@pytest.mark.parametrize("layout", IN_ODT)
def test_a_play_in_an_opendocument_text_has_its_speakers(read, layout: str) -> None:
    said = [IN_ODT[layout](*turn) for turn in SPEECHES]
    direction = "<text:p text:style-name='P1'>They go.</text:p>"
    documents = read("a.odt", odt("".join([*said, direction]), styles=STYLES))
    names = (name.title() if "bold" in layout else name for name in SPEAKERS)
    assert documents.speakers == dict(zip(names, SPEAKERS.values(), strict=True))
    assert turns_of(documents)[-1] == "[They go.]"


def novel_with_bold_chapters() -> list[str]:
    """Each chapter is named after the one who tells it, in turn."""
    return [
        part
        for n in range(12)
        for part in (
            paragraph(run("ANNA" if n % 2 else "BEN", "b")),
            docx_paragraph("She went to the mill and sat on the wall until the evening came."),
            paragraph(run("Never", *"b"[n % 4 :]), run(" had she seen so much water in a place.")),
            docx_paragraph("The wheel turned the wrong way, and nobody in the house said a word."),
        )
    ]


PROSE = {
    "a novel with bold chapters": novel_with_bold_chapters(),
    "letters with tabs": [
        docx_paragraph("Dear Anna,"),
        *(
            part
            for day in ("Monday", "Tuesday", "Wednesday", "Thursday")
            for part in (
                paragraph(run(f"The mill\t{day}, the third of May")),
                paragraph(run("\tI have been to the mill today, and found the door open.")),
                paragraph(run("\tThe parrot was in good health. It asked for you, twice.")),
            )
        ),
        docx_paragraph("Yours, Ben"),
    ],
    "a glossary": [
        paragraph(run(f"Term {chr(65 + n)}", "b"), run("\tIt means a thing of some kind."))
        for n in range(20)
    ],
    "a table of figures": [word_table([(f"{n} May", "wind from the west") for n in range(20)])],
    "a novel with italic paragraphs": [
        paragraph(run("The wheel turned, and turned, and turned until the morning.", "i")),
        docx_paragraph("ANNA was written on the door in white letters a foot high."),
    ]
    * 8,
}


@pytest.mark.parametrize("kind", PROSE)
def test_prose_in_word_stays_prose(read, kind: str) -> None:
    documents = read("a.docx", docx("".join(PROSE[kind])))
    assert documents.kind == "paragraphs"
    assert not documents.speakers
    assert "[" not in "".join(documents.texts)
