import pytest


def test_blocks_are_paragraphs_and_navigation_is_left_out(read) -> None:
    page = """<!DOCTYPE html><html><head><title>No</title><style>p {}</style></head><body>
    <nav>Home | About</nav><header>Logo</header>
    <main><h1>A  title</h1><p>One <b>bold</b>
    word,<br>then &lt;two&gt;.</p><ul><li>first</li><li>second</li></ul>
    <script>alert(1)</script><p hidden>secret</p>
    <table><tr><td>a</td><td>b</td></tr></table></main><footer>(c)</footer></body></html>"""
    documents = read("a.html", page, document="paragraph")
    assert documents.texts == [
        "A title",
        "One bold word,\nthen <two>.",
        "first",
        "second",
        "a b",
    ]


def test_lines_of_preformatted_text_are_kept(read) -> None:
    script = "\n".join(f"<b>{name}</b>\n   I say {n} things.\n" for n, name in enumerate("AB" * 5))
    script = script.replace("<b>A", "<b>ANNA").replace("<b>B", "<b>BEN")
    documents = read("a.html", f"<html><body><pre>{script}</pre></body></html>")
    assert documents.kind == "script"
    assert documents.speakers == {"ANNA": 5, "BEN": 5}


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8", "cp1251"])
def test_a_page_says_its_encoding(read, encoding: str) -> None:
    word = "слово" if encoding == "cp1251" else "café"
    page = f'<html><head><meta charset="{encoding}"></head><body><p>{word} one</p></body></html>'
    documents = read("a.html", page.encode(encoding), document="line")
    assert documents.texts == [f"{word} one"]
    assert len(documents.notes) == (encoding != "utf-8")


def test_a_page_is_known_by_its_first_tag(read) -> None:
    assert read("a.txt", "<!doctype html>\n<p>one</p>", document="line").texts == ["one"]


def test_a_page_with_elements_nested_very_deep_is_refused(refusal, write) -> None:
    page = "<html><body>" + "<div>" * 50_000 + "deep" + "</div>" * 50_000
    refusal(write("a.html", page))


def test_an_empty_page_is_refused(refusal, write) -> None:
    assert "no document with a word" in refusal(write("a.html", "<html></html>"))
