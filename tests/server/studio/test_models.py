import html
import io
import re
import shutil
import zipfile
from pathlib import Path

import pytest
from tests.server.studio.conftest import ORIGIN, Studio
from tests.server.studio.test_texts import TALES

from lorelm.bundle import Bundle
from lorelm.bundle.layout import CHECKPOINT, COPIES, MANIFEST, WEIGHTS
from lorelm.bundle.packing import pack
from lorelm.corpus.documents import ReadingOptions
from lorelm.export.site import SiteOptions, site_files
from lorelm.server.studio.errands import sample_of
from lorelm.server.studio.library import Library
from lorelm.server.studio.models import _without_folders
from lorelm.server.studio.writing import _MAX_OPEN


@pytest.fixture
def fox(studio: Studio, tiny_bundle: Path) -> Path:
    path = studio.state.library.root / "models" / "Fox"
    shutil.copytree(tiny_bundle, path)
    return path


def test_a_card_says_what_a_model_is(studio: Studio, fox: Path) -> None:
    manifest = Bundle.load(fox).manifest
    assert manifest.metrics is not None
    page = studio.client.get("/models").text
    assert manifest.source in page
    assert f"{manifest.metrics.perplexity:.1f}" in page
    assert "Writing a sample" in page


def test_a_model_writes_its_sample_once(studio: Studio, fox: Path) -> None:
    studio.state.errands._write_sample("Fox")
    sample = sample_of(fox)
    assert sample
    assert sample.split()[0] in studio.client.get("/models").text


def test_a_model_is_written_with(studio: Studio, fox: Path) -> None:
    assert studio.client.get("/write/Fox").headers["Location"] == "Fox/"
    assert "Fox" in studio.client.get("/write/Fox/").text
    body = {"prompt": "The", "seed": 1, "max_len": 5}
    first = studio.client.post("/write/Fox/api/generate", json=body)
    assert first.status_code == 200
    assert first.json is not None
    again = studio.client.post("/write/Fox/api/generate", json=body)
    assert again.json is not None
    assert first.json["samples"] == again.json["samples"]


def test_a_run_that_is_not_finished_goes_on_under_train(studio: Studio, fox: Path) -> None:
    (fox / MANIFEST).rename(fox / CHECKPOINT)
    response = studio.client.get("/write/Fox/")
    assert response.status_code == 409
    assert "<bdi>Fox</bdi> is not finished" in response.text
    assert 'href="../../train/Fox"' in response.text
    assert "lorelm" not in response.text.partition("<h1>")[2]
    answer = studio.client.post("/write/Fox/api/generate", json={"prompt": "The"})
    assert answer.status_code == 409
    assert str(fox) not in answer.text


def test_only_some_models_stay_in_memory(studio: Studio, fox: Path) -> None:
    for number in range(_MAX_OPEN + 2):
        shutil.copytree(fox, fox.with_name(f"Fox {number}"))
        assert studio.client.get(f"/write/Fox%20{number}/").status_code == 200
    assert len(studio.state.writing._open) == _MAX_OPEN
    assert studio.client.get("/write/Fox%200/").status_code == 200


def test_a_model_that_was_trained_anew_is_opened_anew(
    studio: Studio, fox: Path, scene_bundle: Path
) -> None:
    before = studio.state.writing.find("Fox")
    assert studio.state.writing.find("Fox") is before
    shutil.rmtree(fox)
    shutil.copytree(scene_bundle, fox)
    (fox / "manifest.json").touch()
    assert studio.state.writing.find("Fox") is not before


def test_what_is_no_model_is_not_written_with(studio: Studio, fox: Path) -> None:
    assert studio.client.get("/write/Hare/").status_code == 404
    (fox / "manifest.json").unlink()
    response = studio.client.get("/write/Fox/")
    assert response.status_code == 409
    assert "Content-Security-Policy" in response.headers


@pytest.mark.parametrize(
    ("query", "is_whole"), [("", True), ("?serving_only=1&no_fingerprints=1", False)]
)
def test_a_model_is_downloaded_and_added_again(
    studio: Studio, fox: Path, query: str, is_whole: bool
) -> None:
    response = studio.client.get(f"/models/Fox/download{query}")
    assert "filename=Fox.lorelm" in response.headers["Content-Disposition"]
    names = zipfile.ZipFile(io.BytesIO(response.data)).namelist()
    assert ({COPIES, WEIGHTS} <= set(names)) == is_whole
    added = studio.client.post("/models", data={"file": (io.BytesIO(response.data), "Fox.lorelm")})
    assert added.status_code == 303
    other = Bundle.load(studio.state.library.path("models", "Fox 2"))
    assert other.vocabulary.words == Bundle.load(fox).vocabulary.words


@pytest.mark.parametrize("content", [b"", b"The fox ran.", b"PK\x03\x04 nothing"])
def test_a_file_that_is_no_model_is_refused_by_its_name(studio: Studio, content: bytes) -> None:
    data = {"file": (io.BytesIO(content), "C:\\my\\tales.lorelm")}
    response = studio.client.post("/models", data=data)
    assert response.status_code == 422
    assert "tales.lorelm is" in response.text
    data = {"file": (io.BytesIO(content), "tales.lorelm")}
    answer = studio.client.post("/models", data=data, headers={"Accept": "application/json"})
    assert answer.status_code == 422
    assert answer.json is not None
    assert answer.json["error"]["message"].startswith("tales.lorelm is")
    assert answer.json["error"]["code"].startswith("bundle.")
    assert "--" not in answer.text
    assert str(studio.state.library.root) not in response.text
    assert studio.state.library.names("models") == []
    assert not [p for p in studio.state.library.root.iterdir() if p.name.startswith("tmp")]


def test_nothing_stays_of_an_upload_whose_studio_was_killed(
    studio: Studio, fox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, killed = studio.state.library, Library(tmp_path / "killed")
    load = Bundle.load

    def load_and_keep_the_moment(path: Path) -> Bundle:
        if not killed.root.exists():
            shutil.copytree(library.root, killed.root)
        return load(path)

    pack = studio.client.get("/models/Fox/download").data
    monkeypatch.setattr(Bundle, "load", load_and_keep_the_moment)
    added = studio.client.post("/models", data={"file": (io.BytesIO(pack), "Fox.lorelm")})
    assert added.status_code == 303
    assert [*killed.root.rglob("*.lorelm")]
    killed.open()
    assert not [*killed.root.rglob("*.lorelm")]
    folders = {path.name for path in killed.root.iterdir() if path.is_dir()}
    assert folders == {"texts", "models", "runs", "deleted"}
    assert not [*(killed.root / "deleted").iterdir()]


def test_a_hostile_pack_is_refused(studio: Studio, tiny_bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "evil.lorelm"
    pack(Bundle.load(tiny_bundle), path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../../escaped", b"x")
    with path.open("rb") as file:
        response = studio.client.post("/models", data={"file": (file, "evil.lorelm")})
    assert response.status_code == 422
    assert "no file of a model" in response.text
    assert studio.state.library.names("models") == []


def test_a_model_is_renamed_copied_deleted_and_brought_back(studio: Studio, fox: Path) -> None:
    client, library = studio.client, studio.state.library
    assert client.post("/models/Fox/duplicate").status_code == 303
    assert client.post("/models/Fox/rename", data={"title": "Hare"}).status_code == 303
    assert sorted(library.names("models")) == ["Fox 2", "Hare"]
    assert client.post("/models/Hare/delete").status_code == 303
    assert library.names("models") == ["Fox 2"]
    client.post(f"/deleted/{library.deleted()[0].stamp}")
    assert sorted(library.names("models")) == ["Fox 2", "Hare"]


def test_a_name_of_which_nothing_is_left_is_refused(studio: Studio, fox: Path) -> None:
    studio.state.library.add_text("Tales", [("a.txt", io.BytesIO(TALES.encode()))])
    for path in ("models/Fox", "texts/Tales"):
        response = studio.client.post(f"/{path}/rename", data={"title": "///"})
        assert response.status_code == 422
        assert "with a letter or digit" in response.text
    assert fox.exists()


def test_what_is_brought_back_is_shown_where_it_belongs(studio: Studio, fox: Path) -> None:
    """A model that the studio has trained among the models, a run that can go on under Train."""
    studio.state.queue.add("Fox", ["train", "a.txt", "--out", str(fox)])
    studio.state.queue.stop("Fox")
    for place in ("../models", "../train/Fox"):
        if place != "../models":
            (fox / MANIFEST).rename(fox / CHECKPOINT)
        assert studio.client.post("/models/Fox/delete").status_code == 303
        stamp = studio.state.library.deleted()[0].stamp
        assert studio.client.post(f"/deleted/{stamp}").headers["Location"] == place


def test_a_model_that_a_run_works_on_stays(studio: Studio, fox: Path) -> None:
    studio.state.queue.add("Fox", ["train", "--resume", str(fox), "--epochs", "9"])
    for action in ("delete", "rename"):
        response = studio.client.post(f"/models/Fox/{action}", data={"title": "Hare"})
        assert response.status_code == 422
        assert "pause it first" in response.text
    assert fox.exists()
    assert "A run is training this model" in studio.client.get("/models").text


def test_columns_of_a_table_stay_in_line(studio: Studio) -> None:
    path = f"{studio.state.library.root / 'models'}/Fox"
    table = f"{' ' * len(path)}  perplexity\n{path}        12.3\n"
    said = _without_folders(studio.state.library, table)
    assert said == "     perplexity\nFox        12.3\n"


def train_on(studio: Studio, name: str, text: str) -> None:
    """Train the smallest model there is on a text of the studio."""
    library = studio.state.library
    tiny = ("--min-frequency", "1", "--hidden-size", "8", "--epochs", "1", "--init", "none")
    out = ("--out", str(library.root / "models" / name))
    files = map(str, library.text(text).files)
    studio.state.commands.run(["train", *files, *out, *tiny], timeout_seconds=120)


@pytest.mark.system
@pytest.mark.slow
def test_models_are_compared_and_reported_on_their_text(studio: Studio) -> None:
    """Which the studio keeps where no command would look for it."""
    studio.state.library.add_text("Tales", [("tales.txt", io.BytesIO(TALES.encode()))])
    studio.state.errands._inspect("Tales", is_whole=False)
    for name in ("Fox", "Hare"):
        train_on(studio, name, "Tales")
    # Another one whose file has the same name.
    studio.state.library.add_text("Newer", [("tales.txt", io.BytesIO(TALES[:300].encode()))])
    page = studio.client.get("/models/compare?model=Fox&model=Hare").text
    assert 'role="alert"' not in page
    assert "the test part of tales.txt" in page
    assert str(studio.state.library.root) not in page
    report = studio.client.get("/models/Fox/report")
    assert report.status_code == 200
    assert b"<html" in report.data
    studio.state.library.add_text("Other", [("other.txt", io.BytesIO(TALES.encode()))])
    page = studio.client.get("/models/compare?model=Fox&model=Hare&text=Other").text
    assert "other.txt" in page
    studio.state.library.delete("texts", "Newer")
    studio.state.library.delete("texts", "Tales")
    page = studio.client.get("/models/compare?model=Fox&model=Hare").text
    assert "the corpus of bundle Fox (tales.txt) is neither" in page
    assert str(studio.state.library.root) not in page


def test_columns_of_a_table_stay_in_line_without_the_folders_of_texts(studio: Studio) -> None:
    file = studio.state.library.root / "texts" / "my tales" / "files" / "a b.csv"
    said = _without_folders(studio.state.library, f"in {file} several columns are prose")
    assert said == "in a b.csv several columns are prose"


TWO_COLUMNS = "Frage,Antwort\n" + "\n".join(
    f"Where did the old fox number {i} go tonight?,The owl said it slept in the wood for {i} days."
    for i in range(40)
)


@pytest.mark.system
def test_models_are_compared_on_a_text_as_it_is_read(studio: Studio) -> None:
    library = studio.state.library
    for name, content in (("zwei", TWO_COLUMNS), ("drei", TWO_COLUMNS), ("Tales", TALES)):
        library.add_text(name, [(f"{name}.csv", io.BytesIO(content.encode()))])
    library.set_options("zwei", ReadingOptions(text_column="Antwort"))
    train_on(studio, "Fox", "Tales")
    library.duplicate_model("Fox")
    page = studio.client.get("/models/compare?model=Fox&model=Fox+2&text=zwei").text
    assert 'role="alert"' not in page
    assert "zwei.csv" in page
    library.set_options("drei", ReadingOptions(text_column="Frage"))
    with_other = studio.client.get("/models/compare?model=Fox&model=Fox+2&text=drei").text
    assert bits_in(page) != bits_in(with_other)


def bits_in(page: str) -> list[str]:
    return re.findall(r"\d\.\d{3}", page)


def test_only_texts_that_can_be_read_are_offered_to_compare_on(studio: Studio) -> None:
    for name in ("drei", "Tales"):
        studio.state.library.add_text(name, [(f"{name}.csv", io.BytesIO(b"a\nb"))])
    library = studio.state.library
    library.set_report(library.text("drei"), None, "several columns are prose")
    page = studio.client.get("/models/compare").text
    assert '<option dir="auto">Tales' in page
    assert '<option dir="auto">drei' not in page


def test_models_of_different_texts_are_compared_on_a_third(
    studio: Studio, fox: Path, scene_bundle: Path
) -> None:
    shutil.copytree(scene_bundle, fox.with_name("Scene"))
    page = html.unescape(studio.client.get("/models/compare?model=Fox&model=Scene").text)
    assert 'may have learned: choose a text under "On".' in page
    assert "--text" not in page


@pytest.mark.parametrize(("query", "has_copies"), [("", True), ("?no_fingerprints=1", False)])
def test_a_web_site_is_downloaded(studio: Studio, fox: Path, query: str, has_copies: bool) -> None:
    response = studio.client.get(f"/models/Fox/site{query}")
    archive = zipfile.ZipFile(io.BytesIO(response.data))
    expected = site_files(Bundle.load(fox), SiteOptions(title="Fox", fingerprints=has_copies))
    assert {n.removeprefix("site/"): archive.read(n) for n in archive.namelist()} == expected
    assert any(name.startswith("site/copies-") for name in archive.namelist()) == has_copies


def test_the_writing_page_leads_back(studio: Studio, fox: Path) -> None:
    assert '<a href="../../models">' in studio.client.get("/write/Fox/").text


def test_drafts_are_those_of_all_models(studio: Studio, fox: Path) -> None:
    shutil.copytree(fox, fox.with_name("Hare"))
    studio.client.get("/write/Fox/")
    body = {"name": "A tale", "content": ["The fox ran."], "model": ""}
    saved = studio.client.post("/write/Fox/api/drafts", json=body, headers=ORIGIN)
    assert saved.status_code == 200, saved.text
    listed = studio.client.get("/write/Hare/api/drafts").json
    assert listed is not None
    assert [each["name"] for each in listed["drafts"]] == ["A tale"]


def test_a_card_without_metrics(studio: Studio, imported_bundle: Path) -> None:
    shutil.copytree(imported_bundle, studio.state.library.root / "models" / "Old")
    page = studio.client.get("/models")
    assert page.status_code == 200
    assert "Perplexity" not in page.text
