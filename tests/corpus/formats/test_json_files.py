import json

import pytest
from tests.errors import raises_code

from lorelm.errors import CorpusError

ROWS = [{"who": "ANNA", "line": f"This is the line {n}"} for n in range(3)]


def test_a_list_of_texts(read) -> None:
    assert read("a.json", '["one word", "two words"]').texts == ["one word", "two words"]


@pytest.mark.parametrize("data", [ROWS, {"version": 1, "rows": ROWS}])
def test_a_list_of_objects_is_a_table(read, data: object) -> None:
    documents = read("a.json", json.dumps(data, indent=2), text_column="line")
    assert documents.kind == "table"
    assert documents.texts == [row["line"] for row in ROWS]


def test_json_is_known_by_its_content(read) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    assert read("a.txt", lines, text_column="line").texts == [row["line"] for row in ROWS]
    assert read("b.txt", '["one word"]').texts == ["one word"]
    assert read("c.json", lines, text_column="line").texts == [row["line"] for row in ROWS]


def test_text_in_brackets_is_no_json(read) -> None:
    assert read("a.txt", "[A door opens.]\n{Enter Ben}\n").texts == [
        "[A door opens.]",
        "{Enter Ben}",
    ]


def test_damaged_json_is_refused_with_its_line(refusal, write) -> None:
    assert "is damaged in line 2" in refusal(write("a.json", '["one",\n"two'))


@pytest.mark.parametrize("text", ["{}", "[1, 2]", '"text"', '{"a": {"b": "c"}}', '["a", {"b": 1}]'])
def test_other_json_is_refused(read, text: str) -> None:
    with raises_code(CorpusError, "corpus.json"):
        read("a.json", text)


def test_characters_that_are_no_text_are_left_out(read) -> None:
    documents = read("a.json", r'["one\u0000 word", "two \ud83e words", "three \ud83e\udd9c"]')
    assert documents.texts == ["one word", "two \ufffd words", "three 🦜"]


def test_numbers_without_end_are_refused(read) -> None:
    with raises_code(CorpusError, "corpus.json"):
        read("a.json", "[" + "1" * 5000 + "]")


def test_json_nested_very_deep_is_refused(read) -> None:
    with raises_code(CorpusError, "corpus.json"):
        read("a.json", "[" * 100_000 + "]" * 100_000)
