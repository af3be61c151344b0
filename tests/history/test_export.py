import csv
import io
import json
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from lorelm.history.export import csv_chunks, json_chunks, json_of
from lorelm.history.record import Record

MakeRecord = Callable[..., Record]

TEXTS = st.text(st.characters() | st.sampled_from('\x00\n\r",=')).filter(
    # JSON has no two halves of one character beside each other: they are that character.
    lambda text: text == text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
)


def csv_text(text: str) -> str:
    """Return a text as a cell of the CSV."""
    shown = "".join("\ufffd" if one == "\0" or "\ud800" <= one <= "\udfff" else one for one in text)
    return "'" + shown if shown[:1] in (*"=+-@\t\r\n＝＋－＠",) else shown


@given(st.lists(TEXTS, max_size=4), TEXTS)
def test_json_is_exact(make_record: MakeRecord, texts: list[str], word: str) -> None:
    records = [
        make_record(prompt=text, settings={"stop": [word]}, prompt_ids=[1, 2], seed=2**63 - 1)
        for text in texts
    ]
    chunks = [*json_chunks(records)]
    parsed = json.loads("".join(chunks).encode())
    assert [one | {"prompt_ids": (1, 2)} for one in parsed] == [json_of(one) for one in records]
    assert [one["prompt"] for one in parsed] == texts
    assert len(chunks) == len(texts) + 1  # one at a time


@given(st.lists(TEXTS, max_size=4), TEXTS)
def test_csv_reads_back(make_record: MakeRecord, texts: list[str], word: str) -> None:
    records = [
        make_record(text=text, model=word, settings={"stop": [word]}, prompt_ids=(3,))
        for text in texts
    ]
    written = "".join(csv_chunks(records)).encode()
    rows = [*csv.DictReader(io.StringIO(written.decode(), newline=""))]
    assert [row["text"] for row in rows] == [csv_text(text) for text in texts]
    for row, record in zip(rows, records, strict=True):
        assert row["id"] == record.id
        assert row["model"] == csv_text(word)
        assert json.loads(row["settings"]) == {"stop": [word]}
        assert json.loads(row["prompt_ids"]) == [3]
        assert row["seed"] == str(record.seed)
        assert row["has_mixture"] == "false"


def test_csv_is_what_rfc_4180_says(make_record: MakeRecord) -> None:
    header, row = "".join(csv_chunks([make_record(prompt='Say "friend",\nand')])).split("\r\n")[:2]
    assert header.startswith("id,created_at,browser,source,model,")
    assert ',"Say ""friend"",\nand",' in row


def test_spreadsheets_evaluate_no_text(make_record: MakeRecord) -> None:
    for text in ("=1+1", "@SUM(A1)", "+1", "-1", "\t=1", "＝1"):
        [row] = csv.DictReader(io.StringIO("".join(csv_chunks([make_record(prompt=text)]))))
        assert row["prompt"] == "'" + text


def test_no_records_are_an_empty_table() -> None:
    assert json.loads("".join(json_chunks([]))) == []
    assert "".join(csv_chunks([])).count("\r\n") == 1
