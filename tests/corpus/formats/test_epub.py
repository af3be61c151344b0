from tests.corpus.formats.samples import epub
from tests.errors import raises_code

from lorelm.errors import CorpusError

CHAPTERS = {
    "2.xhtml": "<h1>The first</h1><p>It begins&nbsp;here&hellip;</p><p>A<br/>B &amp; C</p>",
    "1%20b.xhtml": "<h1>The second</h1><p>It ends.</p>",
}


def test_chapters_are_read_in_the_order_of_the_spine(read) -> None:
    documents = read("a.epub", epub(CHAPTERS), document="paragraph")
    assert documents.texts == [
        "The first",
        "It begins here…",
        "A\nB & C",
        "The second",
        "It ends.",
    ]


def test_a_page_that_is_no_xml_is_read_as_html(read) -> None:
    documents = read("a.epub", epub({"a.xhtml": "<p>one<br>two<p>three"}), document="line")
    assert documents.texts == ["one", "two", "three"]


def test_the_table_of_contents_is_left_out(read) -> None:
    items = (
        ("n", "nav.xhtml", 'properties="nav"'),
        ("c", "cover.xhtml", ""),
        ("a", "text/2.xhtml", ""),
    )
    manifest = "".join(
        f'<item id="{name}" href="{href}" media-type="application/xhtml+xml" {more}/>'
        for name, href, more in items
    )
    spine = '<itemref idref="n"/><itemref idref="c" linear="no"/><itemref idref="a"/>'
    package = f"<package><manifest>{manifest}</manifest><spine>{spine}</spine></package>"
    content = epub(CHAPTERS, package=package, more={"OEBPS/nav.xhtml": "<p>The first 1</p>"})
    assert read("a.epub", content, document="line").texts[0] == "The first"


def test_a_book_with_drm_is_refused(read) -> None:
    encryption = (
        "<encryption><EncryptedData><CipherData><CipherReference URI='OEBPS/text/2.xhtml'/>"
        "</CipherData></EncryptedData></encryption>"
    )
    with raises_code(CorpusError, "corpus.locked"):
        read("a.epub", epub(CHAPTERS, more={"META-INF/encryption.xml": encryption}))


def test_a_book_with_encrypted_fonts_is_read(read) -> None:
    encryption = (
        "<encryption><EncryptedData><CipherData><CipherReference URI='OEBPS/a.otf'/>"
        "</CipherData></EncryptedData></encryption>"
    )
    content = epub(CHAPTERS, more={"META-INF/encryption.xml": encryption})
    assert "It ends." in read("a.epub", content, document="line").texts


def test_a_book_without_its_chapter_is_refused_with_the_name(refusal, write) -> None:
    content = epub({"a.xhtml": "<p>one</p>"}).replace(b"text/a.xhtml", b"text/b.xhtml")
    assert "damaged" in refusal(write("a.epub", content))
