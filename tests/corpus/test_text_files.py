import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.errors import raises_code

from lorelm.corpus import text_files
from lorelm.corpus.documents import ReadingOptions
from lorelm.corpus.readers import read_documents
from lorelm.corpus.text_files import TextFile
from lorelm.errors import CorpusError

TEXT = "\n".join(f"Line {i}, naïve “words” 🧙" if i % 7 else " \t" for i in range(200)) + "\n"


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "LARGE_FILE_BYTES", 100)
    monkeypatch.setattr(text_files, "BLOCK_BYTES", 64)


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_the_documents_are_those_of_a_small_file(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, line_break: str, mark: bytes
) -> None:
    path = write("corpus.txt", mark + TEXT.replace("\n", line_break).encode())
    large = read_documents(path)
    assert isinstance(large.texts, TextFile)
    monkeypatch.setattr(text_files, "LARGE_FILE_BYTES", 1 << 20)
    small = read_documents(path, ReadingOptions(document="line"))
    assert list(large.texts) == small.texts
    assert len(large) == len(small)
    assert large.fingerprint == small.fingerprint
    assert (large.texts[3], large.texts[-1]) == (small.texts[3], small.texts[-1])
    assert large.texts[5:9] == small.texts[5:9]
    assert large.source == small.source


@pytest.mark.parametrize(("damage", "code"), [(b"\xff", "corpus.encoding"), (b"\0", "corpus.nul")])
def test_the_error_for_damage_names_its_line(
    write: Callable[..., Path], damage: bytes, code: str
) -> None:
    lines = TEXT.encode().split(b"\n")
    lines[120] += damage
    documents = read_documents(write("corpus.txt", b"\n".join(lines)))
    with raises_code(CorpusError, code) as caught:
        list(documents.texts)
    assert re.search(r"corpus\.txt .*line 121\b", str(caught.value))


@pytest.mark.parametrize("line_break", ["\n", ""])
def test_a_line_that_does_not_end_is_refused_before_it_fills_the_memory(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, line_break: str
) -> None:
    monkeypatch.setattr(text_files, "MAX_LINE_BYTES", 1 << 20)
    path = write("corpus.txt", TEXT + "fox " * (1 << 20) + line_break)
    monkeypatch.setattr(text_files, "BLOCK_BYTES", 64 << 10)
    sizes = []
    with raises_code(CorpusError, "corpus.long_line") as caught:
        sizes.extend(map(len, TextFile(path)))
    assert "line 201 of " in str(caught.value)
    assert max(sizes) < 100
    monkeypatch.setattr(text_files, "MAX_LINE_BYTES", 8 << 20)
    assert len(TextFile(path)) > len(sizes)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("corpus.txt", {"document": "paragraph"}),
        ("corpus.txt", {"encoding": "cp1252"}),
        ("corpus.csv", {"text_column": "line"}),
    ],
)
def test_other_files_are_read_as_ever(
    write: Callable[..., Path], name: str, options: dict[str, str]
) -> None:
    path = write(name, "line\n" + "Speak friend and enter\n" * 50)
    texts = read_documents(path, ReadingOptions(**options)).texts
    assert isinstance(texts, list)


def test_the_head_is_the_first_documents(write: Callable[..., Path]) -> None:
    texts = TextFile(write("corpus.txt", "one\n\ntwo\nthree\n" * 30))
    assert texts.head(6) == ["one", "two"]
