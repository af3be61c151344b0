import html
import io
import json
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from tests.server.studio.conftest import Studio
from werkzeug.test import TestResponse

from lorelm.corpus.documents import ReadingOptions

pytestmark = pytest.mark.system  # `lorelm inspect` reads the texts

TALES = "\n".join(f"The {who} {did} in the {place}." for who in ("fox", "owl", "hen")
                  for did in ("ran", "sat", "slept") for place in ("wood", "barn"))  # fmt: skip
TABLE = "who,said,note\n" + "\n".join(
    f"{who},Where did the {other} go tonight my friend number {i}?,x{i}"
    for i in range(20)
    for who, other in (("FOX", "owl"), ("OWL", "fox"))
)


def upload(studio: Studio, *files: tuple[str, bytes], **fields: str) -> TestResponse:
    data: Mapping[str, Any] = {
        "files": [(io.BytesIO(content), name) for name, content in files],
        **fields,
    }
    return studio.client.post("/texts", data=data, content_type="multipart/form-data")


def inspected(studio: Studio, name: str) -> dict[str, Any]:
    for is_whole in (False, True):
        studio.state.errands._inspect(name, is_whole=is_whole)
    text = studio.state.library.text(name)
    assert text.report is not None, text.error
    return dict(text.report)


def test_a_dropped_file_becomes_a_text(studio: Studio) -> None:
    response = upload(studio, ("my tales.txt", TALES.encode()))
    assert response.headers["Location"] == "texts/my%20tales"
    report = inspected(studio, "my tales")
    assert report["tokens"] > 100
    page = studio.client.get("/texts/my%20tales").text
    assert "The fox ran in the wood." in page
    assert f"{report['tokens']:,}" in page
    assert "my tales" in studio.client.get("/texts").text


def test_a_reading_is_kept_where_only_the_estimate_fails(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(studio, ("tales.txt", TALES.encode()))
    errands, library = studio.state.errands, studio.state.library
    errands._inspect("tales", is_whole=False)
    monkeypatch.setattr("lorelm.server.studio.errands._INSPECTION_SECONDS", 0.01)
    errands._inspect("tales", is_whole=True)
    text = library.text("tales")
    assert text.error == ""
    assert text.report is not None
    assert studio.client.get("/texts/tales/report").json == {"is_read": True, "is_whole": True}
    assert "not known" in studio.client.get("/texts/tales").text
    assert studio.client.get("/train").status_code == 200


@pytest.mark.slow
def test_a_text_is_read_once_however_often_its_page_is_opened(studio: Studio) -> None:
    upload(studio, ("tales.txt", TALES.encode()))
    errands, commands = studio.state.errands, []
    run = studio.state.commands.run

    def counted(*arguments: Any, **options: Any) -> str:
        commands.append(arguments)
        if len(commands) < 3:
            studio.client.get("/texts/tales")  # while it is read
        return run(*arguments, **options)

    errands._commands = SimpleNamespace(run=counted)  # type: ignore[misc, assignment]
    while errands._waiting:
        errands._waiting.popitem()[1]()
    assert len(commands) == 2
    studio.client.post("/texts/tales/options", data={"document": "line"})
    assert studio.state.library.text("tales").report is None
    while errands._waiting:
        errands._waiting.popitem()[1]()
    assert len(commands) == 4


def test_the_scale_says_how_large_a_text_is_and_the_verdict_alone_whether_it_is_enough(
    studio: Studio,
) -> None:
    """Which depends on more than the size: 3,000 tokens are enough to start from the base."""
    upload(studio, ("tales.txt", ("\n".join([TALES] * 30)).encode()))
    report = inspected(studio, "tales")
    assert 1_000 < report["tokens"] < 20_000
    assert "large enough" in report["verdict"]
    page = studio.client.get("/texts/tales").text
    assert "Large enough." in page
    scale = page[page.index('class="scale"') : page.index('class="tiles"')]
    assert "<strong>a story</strong>" in scale
    assert f"{report['tokens']:,} tokens, as much as a story, on a scale" in scale
    assert not {"enough", "little", "plenty", "small"} & set(re.findall(r"\w+", scale))


def test_a_script_gets_an_answer_in_json(studio: Studio) -> None:
    data = {"files": [(io.BytesIO(TALES.encode()), "a/b.txt")]}
    response = studio.client.post("/texts", data=data, headers={"Accept": "application/json"})
    assert response.json == {"url": "texts/b"}
    response = studio.client.post("/texts", data={}, headers={"Accept": "application/json"})
    assert response.status_code == 422
    assert response.json is not None
    assert response.json["error"] == {
        "message": "no file arrived: choose one or more",
        "field": None,
        "fields": [],
        "code": "studio.no_file",
    }


def test_a_pasted_text_is_named_by_its_first_words(studio: Studio) -> None:
    response = studio.client.post("/texts", data={"pasted": TALES})
    assert response.headers["Location"] == "texts/The%20fox%20ran%20in%20the%20wood"


@pytest.mark.slow
def test_the_columns_of_a_table_can_be_chosen(studio: Studio) -> None:
    upload(studio, ("talk.csv", TABLE.encode()))
    assert inspected(studio, "talk")["speakers"] == {"FOX": 20, "OWL": 20}
    page = studio.client.get("/texts/talk").text
    assert '<option dir="auto">note</option>' in page
    assert '<b class="cue">FOX:</b>' in page
    form = {"text_column": "said", "speaker_column": "-"}
    assert studio.client.post("/texts/talk/options", data=form).status_code == 303
    assert inspected(studio, "talk")["speakers"] == {}
    assert '<option dir="auto" selected>said</option>' in studio.client.get("/texts/talk").text


@pytest.mark.slow
def test_the_columns_of_a_table_that_cannot_be_read_can_be_chosen(studio: Studio) -> None:
    two_of_prose = [
        f"FOX,Where did the owl {i} go tonight?,It went to the barn number {i}" for i in range(30)
    ]
    upload(studio, ("talk.csv", "\n".join(["who,said,reply", *two_of_prose]).encode()))
    studio.state.errands._inspect("talk", is_whole=False)
    page = html.unescape(studio.client.get("/texts/talk").text)
    assert "name the one to read with “Text column”, one of 'who', 'said', 'reply'" in page
    assert "--text-column" not in page
    for name in ("who", "said", "reply"):
        assert f'<option dir="auto">{name}</option>' in page
    studio.client.post("/texts/talk/options", data={"text_column": "reply"})
    assert inspected(studio, "talk")["documents"]


def test_a_text_without_columns_offers_none(studio: Studio) -> None:
    upload(studio, ("a.txt", TALES.encode()), ("b.pdf", b"%PDF-1.7 nothing"))
    assert "text_column" not in studio.client.get("/texts/a").text
    studio.state.errands._inspect("a", is_whole=False)
    assert "text_column" not in studio.client.get("/texts/a").text
    # Whoever named one, by hand or for a file that is another now, can take it back.
    studio.state.library.set_options("a", ReadingOptions(text_column="said"))
    studio.state.errands._inspect("a", is_whole=False)
    assert 'name="text_column" dir="auto" value="said"' in studio.client.get("/texts/a").text


def test_what_the_reader_says_names_the_fields_of_the_page(studio: Studio) -> None:
    upload(studio, ("talk.csv", TABLE.encode()), title="talk")
    inspected(studio, "talk")
    page = html.unescape(studio.client.get("/texts/talk").text)
    assert "Taking the speakers from column 'who'; “Speaker column: none” leaves them out." in page
    assert "--speaker" not in page
    assert "''" not in page


def test_options_that_are_not_allowed_are_refused(studio: Studio) -> None:
    upload(studio, ("talk.csv", TABLE.encode()))
    response = studio.client.post("/texts/talk/options", data={"document": "chapter"})
    assert response.status_code == 422
    assert "document: must be one of" in response.text


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("empty.txt", b"", "empty.txt is empty"),
        ("a.pdf", b"%PDF-1.7 nothing", "a.pdf"),
        ("a.csv", b"a,b\n1,2\n3,4\n", "in a.csv no column is prose"),
    ],
)
def test_a_wrong_file_gets_the_sentence_of_its_reader(
    studio: Studio, name: str, content: bytes, expected: str
) -> None:
    upload(studio, (name, content))
    title = name.rpartition(".")[0]
    studio.state.errands._inspect(title, is_whole=False)
    error = studio.state.library.text(title).error
    assert error.startswith(expected)
    assert str(studio.state.library.root) not in error
    page = studio.client.get(f"/texts/{title}")
    assert 'role="alert"' in page.text
    assert studio.client.get(f"/texts/{title}/report").json == {"is_read": True, "is_whole": False}


def test_an_upload_that_is_too_large_is_refused(studio: Studio) -> None:
    kind = "multipart/form-data; boundary=x"
    response = studio.client.post("/texts", data=b"x" * 1_100_000, content_type=kind)
    assert response.status_code == 413
    assert "1,000,000 bytes" in response.text
    assert studio.state.library.names("texts") == []


def test_names_are_no_markup(studio: Studio) -> None:
    upload(
        studio, ("<img src=x onerror=alert(1)>.txt", TALES.replace("The", "<b>The</b>").encode())
    )
    [name] = studio.state.library.names("texts")
    inspected(studio, name)
    for path in ("/texts", f"/texts/{name}", "/train"):
        page = studio.client.get(path).text
        assert "<img" not in page
        assert "<b>The" not in page


def test_a_text_is_renamed_deleted_and_brought_back(studio: Studio) -> None:
    upload(studio, ("a.txt", TALES.encode()))
    assert studio.client.post("/texts/a/rename", data={"title": "b"}).status_code == 303
    assert studio.client.post("/texts/b/delete").status_code == 303
    assert studio.client.get("/texts/b").status_code == 404
    [deleted] = studio.state.library.deleted()
    assert "Restore b" in studio.client.get("/texts").text
    assert studio.client.post(f"/deleted/{deleted.stamp}").headers["Location"] == "../texts"
    assert studio.client.get("/texts/b").status_code == 200
    assert studio.client.post(f"/deleted/{deleted.stamp}").status_code == 404


def test_a_text_that_is_not_read_yet_says_so(studio: Studio) -> None:
    upload(studio, ("a.txt", TALES.encode()))
    assert "Reading the text" in studio.client.get("/texts/a").text
    assert studio.client.get("/texts/a/report").json == {"is_read": False, "is_whole": False}


def test_what_inspect_says_fits_json(studio: Studio) -> None:
    upload(studio, ("a.txt", TALES.encode()))
    report = inspected(studio, "a")
    assert report["is_whole"]
    assert json.loads(json.dumps(report)) == report


def test_a_text_can_be_read_anew_while_it_is_measured(studio: Studio) -> None:
    upload(studio, ("a.txt", TALES.encode()))
    errands = studio.state.errands
    errands._waiting.clear()
    before = studio.state.library.text("a")
    studio.client.post("/texts/a/options", data={"document": "line"})
    assert ("reading", "a") in errands._waiting
    # What was asked of the text as it was says nothing of it as it is.
    studio.state.library.set_report(before, {"tokens": 1})
    assert studio.state.library.text("a").report is None


def test_another_text_of_the_same_name_has_a_report_of_its_own(studio: Studio) -> None:
    upload(studio, ("a.txt", TALES.encode()))
    before = studio.state.library.text("a")
    studio.client.post("/texts/a/delete")
    upload(studio, ("a.txt", b"Quite another text.\nWith two lines.\n"))
    studio.state.library.set_report(before, {"tokens": 1})
    assert studio.state.library.text("a").report is None


def test_texts_that_arrive_together_are_all_kept(studio: Studio) -> None:
    library = studio.state.library
    with ThreadPoolExecutor(8) as pool:
        names = [
            *pool.map(
                lambda n: library.add_text("Tales", [(f"{n}.txt", io.BytesIO(b"x"))]), range(8)
            )
        ]
    assert len(set(names)) == 8
    assert sorted(library.text(name).files[0].name for name in names) == [
        f"{n}.txt" for n in range(8)
    ]


def test_a_long_text_can_be_pasted(studio: Studio) -> None:
    response = studio.client.post("/texts", data={"pasted": "The fox ran far. " * 40_000})
    assert response.status_code == 303
