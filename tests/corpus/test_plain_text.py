"""What kind of text a file holds, and its paragraphs as they were before they were wrapped."""

import textwrap

import pytest

from lorelm.corpus.plain_text import read_plain_text

SENTENCES = [
    "The road went down to the river and stopped there, since the bridge had been gone a year.",
    "Nobody came that way now.",
    "On the far bank a house stood with its shutters closed, and smoke rose from its chimney.",
    "She called twice; a well-known voice answered, and then a door was shut with great force.",
]
PARAGRAPHS = [
    " ".join(SENTENCES[(i + k) % 4] for k in range(1 + i % 3)) + f" That was day {i}."
    for i in range(40)
]


def texts_of(text: str, unit=None) -> tuple[str, list[str]]:
    content = read_plain_text(text, source="a.txt", unit=unit)
    return content.kind, [turn.text for work in content.works for scene in work for turn in scene]


@pytest.mark.parametrize("width", [40, 60, 72, 100])
@pytest.mark.parametrize("indent", ["", "    "])
def test_wrapped_paragraphs_are_joined(width: int, indent: str) -> None:
    between = "\n" if indent else "\n\n"
    wrapped = between.join(textwrap.fill(p, width, initial_indent=indent) for p in PARAGRAPHS)
    assert texts_of(wrapped) == ("wrapped prose", PARAGRAPHS)


def test_wrapped_dialogue_without_blank_lines_is_joined() -> None:
    lines = [sentence for paragraph in PARAGRAPHS for sentence in (paragraph, "Yes.")]
    kind, texts = texts_of("\n".join(textwrap.fill(line, 60) for line in lines))
    assert kind == "wrapped prose"
    assert sum(text in lines for text in texts) >= 0.9 * len(lines)


def test_hyphens_at_the_end_of_a_line_go_where_the_word_has_none() -> None:
    text = "\n\n".join(textwrap.fill(p, 60) for p in PARAGRAPHS)
    text = text.replace("chimney", "chim-\nney", 1).replace("well-known", "well-\nknown", 1)
    joined = " ".join(texts_of(text)[1])
    assert "chimney" in joined.split(" chimney")[0] + "chimney"
    assert "chim-" not in joined
    assert "wellknown" not in joined


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("\n".join(SENTENCES * 5), "lines"),
        ("\n\n".join(PARAGRAPHS), "paragraphs"),
        ("\n".join(" ".join(PARAGRAPHS[i : i + 3]) for i in range(20)), "paragraphs"),
        (
            "\n\n".join(["O wind of the north\nthat never came home,\nbring me a word"] * 9),
            "verse",
        ),
    ],
)
def test_the_kind_is_told_by_the_shape(text: str, kind: str) -> None:
    assert texts_of(text)[0] == kind


def test_a_unit_of_lines_takes_the_text_as_it_is() -> None:
    wrapped = textwrap.fill(" ".join(PARAGRAPHS), 60)
    assert texts_of(wrapped, "line")[1] == wrapped.split("\n")


def test_page_numbers_and_running_heads_are_dropped() -> None:
    lines = "\n\n".join(textwrap.fill(p, 60) for p in PARAGRAPHS * 4).split("\n")
    pages = []
    for number, start in enumerate(range(0, len(lines), 30), start=7):
        pages += [*lines[start : start + 30], "", str(number), "THE EMPTY HOUSE", ""]
    kind, texts = texts_of("\n".join(pages))
    assert kind == "wrapped prose"
    assert not any("EMPTY HOUSE" in text or text.isdigit() for text in texts)
    assert sum(text in PARAGRAPHS for text in texts) >= 0.9 * len(texts)


def test_numbered_chapters_are_no_pages() -> None:
    chapters = "\n\n".join(f"{i}\n\n" + "\n\n".join(PARAGRAPHS * 4) for i in range(1, 6))
    assert "3" in texts_of(chapters)[1]


def test_the_header_and_licence_of_project_gutenberg_are_left_out() -> None:
    body = "\n\n".join(PARAGRAPHS)
    text = (
        "The Project Gutenberg eBook of Nothing\n\nThis ebook is for anyone.\n\n"
        f"*** START OF THE PROJECT GUTENBERG EBOOK NOTHING ***\n\n{body}\n\n"
        "*** END OF THE PROJECT GUTENBERG EBOOK NOTHING ***\n\nThe licence follows.\n"
    )
    assert texts_of(text)[1] == PARAGRAPHS


def test_a_heading_begins_a_section() -> None:
    body = "\n\n".join(PARAGRAPHS[:5])
    content = read_plain_text(
        f"CHAPTER I\n\n{body}\n\nCHAPTER II\n\n{body}\n", source="a.txt", unit=None
    )
    [sections] = content.works
    assert [section[0].text for section in sections] == ["CHAPTER I", "CHAPTER II"]
