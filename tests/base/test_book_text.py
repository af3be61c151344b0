"""What is read from an edition: invented pages, marked up as Standard Ebooks marks them up."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from tests.base.editions import archive, page
from tests.errors import raises_code

from book_text import read_book
from lorelm.corpus.formats.archives import Archive
from lorelm.errors import CorpusError


def read(pages: Mapping[str, str], *, spine: Sequence[str] | None = None) -> list[tuple[int, str]]:
    """The chapter and text of each paragraph of an edition."""
    content = archive("ann-author_a-book", "0" * 40, pages, spine=spine)
    return [tuple(each) for each in read_book(Archive(Path("a.zip"), content))]


def texts(content: str, kind: str = "bodymatter z3998:fiction") -> list[str]:
    """The paragraphs of one page."""
    return [text for _, text in read({"a.xhtml": page(content, kind)})]


def test_pages_are_read_in_the_order_of_the_spine() -> None:
    pages = {f"{name}.xhtml": page(f"<p>{name}</p>") for name in ("b", "c", "a")}
    spine = ["c.xhtml", "a.xhtml", "missing.xhtml", "b.xhtml"]
    assert read(pages, spine=spine) == [(1, "c"), (2, "a"), (3, "b")]


def test_front_and_back_matter_is_left_out() -> None:
    pages = {
        "titlepage.xhtml": page("<p>A Book</p>", "frontmatter"),
        "preface.xhtml": page('<section epub:type="preface"><p>I wrote it.</p></section>'),
        "dedication.xhtml": page('<section epub:type="dedication"><p>To you.</p></section>'),
        "a.xhtml": page("<p>It begins.</p>"),
        "endnotes.xhtml": page("<ol><li><p>A note.</p></li></ol>", "backmatter"),
    }
    assert read(pages) == [(1, "It begins.")]


def test_headings_epigraphs_and_pictures_are_left_out() -> None:
    content = """<section epub:type="chapter">
        <header>
            <hgroup><h2 epub:type="ordinal">I</h2><p epub:type="title">The Mill</p></hgroup>
            <p epub:type="bridgehead">In which the owl asks.</p>
            <blockquote epub:type="epigraph"><p>Ask.</p><cite>Fox</cite></blockquote>
        </header>
        <p>It begins.</p>
        <hr/>
        <figure><img alt="A mill." src="a.jpg"/><figcaption>The mill</figcaption></figure>
        <table><tbody><tr><td>1</td><td>2</td></tr></tbody></table>
        <p>It ends.</p>
    </section>"""
    assert texts(content) == ["It begins.", "It ends."]


def test_marks_of_notes_and_special_characters_are_resolved() -> None:
    content = (
        '<p>The\u00a0mill<a href="n#1" epub:type="noteref">1</a> \u2060—\u2060<em>old</em>\u200a…'
        "  stood\n\t\tby the ri\u00adver &amp; “sang.”</p>"
    )
    assert texts(content) == ["The mill —old … stood by the river & “sang.”"]


def test_a_stanza_is_a_row_with_its_lines() -> None:
    content = """<p>They sang:</p>
        <blockquote epub:type="z3998:song">
            <p>
                <span>The mill, the mill,</span>
                <br/>
                <span class="i1">the river;</span>
            </p>
            <p><span>and again.</span></p>
        </blockquote>"""
    assert texts(content) == ["They sang:", "The mill, the mill,\nthe river;", "and again."]


def test_all_parts_of_a_letter_are_read() -> None:
    content = """<blockquote epub:type="z3998:letter">
            <p epub:type="z3998:salutation">Dear Fox,</p>
            <p>Come.</p>
            <footer><p epub:type="z3998:valediction">Yours,<br/>
            <b epub:type="z3998:signature">Owl</b></p><p>P.S. Soon.</p></footer>
        </blockquote>"""
    assert texts(content) == ["Dear Fox,", "Come.", "Yours,\nOwl", "P.S. Soon."]


def test_items_and_their_paragraphs_are_read_once() -> None:
    assert texts("<ul><li><p>one</p><p>two</p></li><li>three</li></ul>") == ["one", "two", "three"]


def test_chapters_are_numbered_without_gaps() -> None:
    story = """<article epub:type="se:short-story"><h2>The Mill</h2>
        <section epub:type="chapter"><h3>I</h3><p>one</p></section>
        <section epub:type="z3998:chapter"><h3>II</h3><p>two</p></section></article>"""
    poem = '<article epub:type="z3998:poem"><p>three</p></article>'
    parts = """<section epub:type="z3998:part"><h2>Part II</h2></section>"""
    subchapters = """<section epub:type="chapter"><p>four</p>
        <section epub:type="subchapter"><p>five</p></section></section>"""
    pages = {"a.xhtml": page(story + poem), "b.xhtml": page(parts), "c.xhtml": page(subchapters)}
    assert read(pages) == [(1, "one"), (2, "two"), (3, "three"), (4, "four"), (4, "five")]


def play(rows: str) -> list[str]:
    table = f"<table><tbody>{rows}</tbody></table>"
    return texts(f'<section epub:type="z3998:scene">{table}</section>', "bodymatter z3998:drama")


def row(name: str, speech: str) -> str:
    persona = f'<td epub:type="z3998:persona">{name}</td>' if name else "<td/>"
    return f"<tr>{persona}<td>{speech}</td></tr>"


def test_a_speech_begins_with_its_speaker() -> None:
    name = '<abbr epub:type="z3998:name-title">Mrs.</abbr> Owl'
    assert play(row(name, "Who goes there?")) == ["MRS. OWL: Who goes there?"]


def test_stage_directions_are_in_round_brackets() -> None:
    direction = (
        '<i epub:type="z3998:stage-direction">To the <b epub:type="z3998:persona">Fox</b>.</i>'
    )
    rows = row("", direction) + row("Owl", f"{direction} Who goes there? <i>Who?</i>")
    assert play(rows) == ["(To the Fox.)", "OWL: (To the Fox.) Who goes there? Who?"]


def test_verse_that_is_spoken_keeps_its_lines() -> None:
    verse = "<p><span>Who goes</span><br/><span>there?</span></p><p>Who?</p>"
    assert play(row("Owl", verse)) == ["OWL: Who goes\nthere?\nWho?"]


def test_an_archive_without_an_edition_is_refused() -> None:
    content = archive("a", "0" * 40, {"a.xhtml": page("<p>a</p>")})
    with raises_code(CorpusError, "books.no_edition"):
        read_book(Archive(Path("a.zip"), content.replace(b"content.opf", b"content.txt")))


def test_a_damaged_page_is_named() -> None:
    with pytest.raises(CorpusError, match=r"a\.xhtml"):
        read({"a.xhtml": page("<p>It begins.")})
