from tests.errors import raises_code

from lorelm.corpus.formats.page_layout import Line, text_of_pages
from lorelm.errors import CorpusError


def pdf(content: str, *, encrypt: str = "") -> bytes:
    """A PDF of one page with this content stream, in Helvetica."""
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 400 400]/Contents 4 0 R/Resources<</Font<</F 5 0 R"
        ">>>>>>",
        f"<</Length {len(content)}>>stream\n{content}\nendstream",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    written, places = "%PDF-1.4\n", []
    for number, each in enumerate(objects, start=1):
        places.append(len(written))
        written += f"{number} 0 obj{each}endobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    count = len(objects) + 1
    return (
        f"{written}xref\n0 {count}\n0000000000 65535 f \n{table}"
        f"trailer<</Size {count}/Root 1 0 R{encrypt}>>\nstartxref\n{len(written)}\n%%EOF"
    ).encode()


def shown(*lines: tuple[int, int, str]) -> str:
    return (
        "BT /F 12 Tf " + " ".join(f"1 0 0 1 {x} {y} Tm ({text}) Tj" for x, y, text in lines) + " ET"
    )


def test_lines_are_joined_and_paragraphs_kept(read) -> None:
    content = shown(
        (50, 350, "The mill stood empty for eleven long winters, and no-"),
        (50, 336, "body asked why it did or where the miller could be"),
        (50, 322, "gone."),
        (50, 294, "Then somebody did."),
        (70, 280, "An indented one."),
    )
    documents = read("a.pdf", pdf(content), document="paragraph")
    assert documents.texts == [
        "The mill stood empty for eleven long winters, and nobody asked why it did or where the "
        "miller could be gone.",
        "Then somebody did.",
        "An indented one.",
    ]


def line(text: str, bottom: float, left: float = 50) -> Line:
    return Line(
        text=text, left=left, right=left + 5 * len(text), bottom=bottom, height=12, first_word=20
    )


def test_page_numbers_and_running_heads_are_left_out() -> None:
    pages = [
        [line("THE MILL", 700), line(f"Words of page {'x' * n}", 680), line(str(n), 20)]
        for n in range(1, 5)
    ]
    notes: list[str] = []
    text = text_of_pages(pages, notes)
    assert "THE MILL" not in text
    assert text.count("Words of page") == 4
    assert notes == ["8 page numbers and running heads are left out."]


def test_verse_stays_in_its_lines() -> None:
    verses = ["a line of some verse that is long", *(f"short one {n}" for n in range(6))]
    page = [line(verse, 200 - 14 * n) for n, verse in enumerate(verses)]
    assert text_of_pages([page], []) == "\n".join(verses)


def test_a_scan_is_refused(read) -> None:
    with raises_code(CorpusError, "corpus.scan"):
        read("a.pdf", pdf("0 0 100 100 re f"))


def test_a_locked_pdf_is_refused(read) -> None:
    lock = f"/ID[<00><00>]/Encrypt<</Filter/Standard/V 1/R 2/P -44/O<{'11' * 32}>/U<{'22' * 32}>>>"
    with raises_code(CorpusError, "corpus.locked"):
        read("a.pdf", pdf(shown((50, 350, "secret")), encrypt=lock))


def test_a_damaged_pdf_is_refused(refusal, write) -> None:
    assert "is damaged" in refusal(write("a.pdf", b"%PDF-1.7\n" + b"nothing" * 20))


def test_options_of_tables_are_refused(refusal, write) -> None:
    path = write("a.pdf", pdf(shown((50, 350, "one"))))
    assert "has no columns" in refusal(path, text_column="line")
