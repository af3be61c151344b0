"""Files as other programs make them, read back word for word."""

import csv
import html
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from tests.corpus.formats.samples import CHAPTERS, SPEECHES, TABLE, paragraphs, words

from lorelm.corpus.documents import ReadingOptions
from lorelm.corpus.formats.sources import read_sources
from lorelm.corpus.structure import Content

Run = Callable[..., None]
Convert = Callable[[Path, str], Path]

_STYLE = """<style>
@page { size: A5; margin: 20mm; @bottom-center { content: counter(page) } }
p { text-align: justify; margin: 0; text-indent: 1.5em }
</style>"""


def read(path: Path) -> Content:
    """What is read, before it is cut into documents and parts."""
    return read_sources([str(path)], ReadingOptions())


def lines_of(content: Content) -> list[str]:
    turns = [turn for work in content.works for scene in work for turn in scene]
    return [line for turn in turns for line in str(turn).split("\n")]


def words_of(content: Content) -> list[str]:
    return " ".join(lines_of(content)).split()


def page(*, style: str = "", times: int = 1) -> str:
    body = "".join(
        f"<h1>{title}</h1>" + "".join(f"<p>{html.escape(text)}</p>" for text in texts)
        for title, texts in CHAPTERS.items()
    )
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>A title</title>{style}"
        f"</head><body>{body * times}</body></html>"
    )


def flat_document(texts: Iterable[str]) -> str:
    """An OpenDocument text in one file, which LibreOffice opens."""
    spaces = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for name in ("office", "text")
    )
    body = "".join(f"<text:p>{html.escape(text)}</text:p>" for text in texts)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>'
        f"<office:document {spaces} office:version='1.3' office:mimetype="
        "'application/vnd.oasis.opendocument.text'>"
        f"<office:body><office:text>{body}</office:text></office:body></office:document>"
    )


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["docx", "odt"])
def test_a_novel_of_libreoffice(write, convert: Convert, suffix: str) -> None:
    path = convert(write("novel.fodt", flat_document(paragraphs())), suffix)
    content = read(path)
    assert words_of(content) == words()
    assert content.kind == "paragraphs"
    assert lines_of(content) == paragraphs()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["docx", "odt"])
def test_a_script_of_libreoffice(write, convert: Convert, suffix: str) -> None:
    lines = [f"{name}: {speech}" for name, speech in SPEECHES]
    content = read(convert(write("play.fodt", flat_document(lines)), suffix))
    assert content.kind == "script"
    assert lines_of(content) == lines


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["xlsx", "ods", "xls"])
def test_a_table_of_libreoffice(tmp_path: Path, convert: Convert, suffix: str) -> None:
    with (tmp_path / "table.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(TABLE)
    content = read(convert(tmp_path / "table.csv", suffix))
    assert content.kind == "table"
    assert lines_of(content) == [f"{name}: {text}" for name, text in SPEECHES]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["epub", "docx", "odt", "html"])
def test_a_novel_of_pandoc(write, run: Run, tmp_path: Path, suffix: str) -> None:
    source = write("source.html", page())
    options = ("--epub-title-page=false",) if suffix == "epub" else ()
    run("pandoc", source, "--standalone", "-o", tmp_path / f"novel.{suffix}", *options)
    content = read(tmp_path / f"novel.{suffix}")
    found = words_of(content)
    # Pandoc sets the title before the text.
    assert found[-len(words()) :] == words()
    assert len(found) <= len(words()) + 2


@pytest.mark.system
def test_a_novel_printed_by_chromium(write, run: Run, tmp_path: Path) -> None:
    source = write("source.html", page(style=_STYLE, times=4))
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer")
    profile = f"--user-data-dir={tmp_path}/profile"
    run("chromium", *options, profile, "--print-to-pdf=novel.pdf", source)
    content = read(tmp_path / "novel.pdf")
    assert content.kind == "paragraphs"
    assert lines_of(content) == paragraphs() * 4


@pytest.mark.slow
def test_a_novel_printed_by_libreoffice(write, convert: Convert) -> None:
    texts = paragraphs() * 4
    content = read(convert(write("novel.fodt", flat_document(texts)), "pdf"))
    # A hyphen at the end of a line may be one of the word or not: "fifty-two" loses its own.
    assert "".join(words_of(content)).replace("-", "") == "".join(words() * 4).replace("-", "")


@pytest.mark.system
def test_a_web_page_as_chromium_saves_it(write, run: Run, tmp_path: Path) -> None:
    content = read(write("page.html", page()))
    assert lines_of(content) == paragraphs()
