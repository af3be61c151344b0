import io
import os
import shutil
import time
from pathlib import Path

import pytest
from tests.errors import raises_code
from tests.systems import IS_ROOT, IS_WINDOWS
from werkzeug.exceptions import NotFound

from lorelm.bundle import Bundle
from lorelm.corpus.documents import CorpusFile, ReadingOptions
from lorelm.errors import InputError
from lorelm.runs.registry import Entry, find_entry, register
from lorelm.server.studio.library import Library


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.setenv("LORELM_DATA", str(tmp_path / "data"))
    found = Library(tmp_path / "studio")
    found.open()
    return found


def add(library: Library, title: str = "Tales", *names: str) -> str:
    return library.add_text(title, [(n, io.BytesIO(b"The fox ran.")) for n in names or ("a.txt",)])


def add_model(library: Library, name: str, bundle: Path) -> Path:
    path = library.root / "models" / name
    shutil.copytree(bundle, path)
    (library.runs_dir / name).mkdir()
    (library.runs_dir / name / "log.txt").write_text("It was trained.")
    return path


def test_a_text_is_kept_as_it_came(library: Library) -> None:
    assert add(library, "Tales: of/foxes", "a.txt", "../a.txt", "b.csv") == "Tales of foxes"
    text = library.text("Tales of foxes")
    assert [path.name for path in text.files] == ["a 2.txt", "a.txt", "b.csv"]
    assert {path.read_bytes() for path in text.files} == {b"The fox ran."}
    assert text.report is None


def test_a_second_text_of_one_name_gets_a_number_whatever_its_case(library: Library) -> None:
    assert [add(library, title) for title in ("Tales", "tales", "TALES")] == [
        "Tales",
        "tales 2",
        "TALES 3",
    ]


def test_an_upload_without_a_file_leaves_nothing(library: Library) -> None:
    with raises_code(InputError, "studio.no_file"):
        library.add_text("Tales", [])
    assert [*(library.root / "texts").iterdir()] == []


def test_only_the_case_of_a_name_can_change(library: Library) -> None:
    add(library, "tales")
    assert library.rename("texts", "tales", "Tales") == "Tales"


def test_the_name_of_the_embedded_model_is_taken(library: Library) -> None:
    assert library.free_name("models", "English") == "English 2"
    assert library.free_name("texts", "English") == "English"


def test_folders_of_odd_names_are_left_alone(library: Library) -> None:
    for name in ("two  spaces", "dot.", "x" * 90):
        (library.root / "texts" / name / "files").mkdir(parents=True)
    assert library.names("texts") == []


def test_a_report_is_of_the_options_that_it_was_made_with(library: Library) -> None:
    name = add(library)
    library.set_report(library.text(name), {"tokens": 3})
    assert library.text(name).report == {"tokens": 3}
    library.set_options(name, ReadingOptions(document="line"))
    assert library.text(name).report is None


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "../models", "nowhere", "\0", ".Tales.new"])
def test_a_name_leads_nowhere_else(library: Library, name: str) -> None:
    with pytest.raises(NotFound):
        library.path("texts", name)


def test_what_was_deleted_comes_back_whole(library: Library, tiny_bundle: Path) -> None:
    path = add_model(library, "Fox", tiny_bundle)
    register(Entry.of(path, "tales.txt"))
    deleted = library.delete("models", "Fox")
    assert library.names("models") == []
    assert find_entry(path) is None
    assert library.bring_back(deleted.stamp).name == "Fox"
    assert {file.name for file in path.iterdir()} == {file.name for file in tiny_bundle.iterdir()}
    assert (library.runs_dir / "Fox" / "log.txt").read_text() == "It was trained."
    assert find_entry(path) is not None
    with pytest.raises(NotFound):
        library.bring_back(deleted.stamp)


def test_it_comes_back_beside_what_took_its_name(library: Library) -> None:
    add(library, "Tales")
    deleted = library.delete("texts", "Tales")
    add(library, "Tales")
    assert library.bring_back(deleted.stamp).name == "Tales 2"
    assert sorted(library.names("texts")) == ["Tales", "Tales 2"]


def test_after_a_week_it_is_deleted_for_good(library: Library) -> None:
    add(library)
    deleted = library.delete("texts", "Tales")
    number, _, kind = deleted.stamp.partition("-")
    for days in (6, 8):
        old = int(number) - days * 86_400_000
        shutil.copytree(
            library.root / "deleted" / deleted.stamp, library.root / "deleted" / f"{old}-{kind}"
        )
    library.open()
    ages = [round((time.time() - each.deleted_at) / 86_400) for each in library.deleted()]
    assert ages == [0, 6]


def test_a_model_takes_its_run_and_its_place_in_the_list_to_its_new_name(
    library: Library, tiny_bundle: Path
) -> None:
    path = add_model(library, "Fox", tiny_bundle)
    register(Entry.of(path, "tales.txt"))
    assert library.rename("models", "Fox", "Hare: a tale") == "Hare a tale"
    assert (library.runs_dir / "Hare a tale" / "log.txt").exists()
    assert find_entry(library.path("models", "Hare a tale")) is not None
    with raises_code(InputError, "studio.no_name"):
        library.rename("models", "Hare a tale", "  ")


def test_a_copy_of_a_model_is_the_model(library: Library, tiny_bundle: Path) -> None:
    add_model(library, "Fox", tiny_bundle)
    copy = library.path("models", library.duplicate_model("Fox"))
    assert {f.name: f.read_bytes() for f in copy.iterdir()} == {
        f.name: f.read_bytes() for f in tiny_bundle.iterdir()
    }


def test_the_text_of_a_model_is_known_by_its_content(library: Library, tiny_bundle: Path) -> None:
    manifest = Bundle.load(tiny_bundle).manifest
    assert manifest.corpus is not None
    fingerprint = manifest.corpus.fingerprint
    file = CorpusFile(path="tales.txt", options=ReadingOptions())
    corpus = manifest.corpus.model_copy(update={"files": (file,)})
    manifest = manifest.model_copy(update={"corpus": corpus})
    for title, own in (("Old", "0"), ("Own", fingerprint), ("New", "1")):
        name = add(library, title, "tales.txt")
        library.set_report(library.text(name), {"fingerprint": own})
        os.utime(library.path("texts", name), times=(time.time(), len(library.names("texts"))))
    found = library.find_corpus(manifest)
    assert found is not None
    assert found.name == "Own"
    # One that is read in another way now may still be it, and the command that reads it sees.
    library.set_options("Own", ReadingOptions(document="line"))
    for other in ("Old", "New"):
        library.delete("texts", other)
    assert library.find_corpus(manifest) is not None
    library.rename("texts", "Own", "Mine")
    (library.path("texts", "Mine") / "files" / "tales.txt").rename(library.root / "aside")
    assert library.find_corpus(manifest) is None


@pytest.mark.skipif(IS_ROOT or IS_WINDOWS, reason="root, and anyone on Windows, may write it")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with raises_code(InputError, "studio.unwritable"):
        Library(tmp_path / "studio").open()


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "studio").write_text("")
    with raises_code(InputError, "studio.unwritable"):
        Library(tmp_path / "studio").open()


def test_folders_that_people_made_are_texts_or_nothing(library: Library) -> None:
    (library.root / "texts" / "empty").mkdir()
    (library.root / "texts" / "mine" / "files").mkdir(parents=True)
    (library.root / "texts" / "mine" / "files" / "a.txt").write_text("The fox ran.")
    (library.root / "texts" / "mine" / "text.json").write_text('{"document": "chapter", "x": 1}')
    assert library.names("texts") == ["mine"]
    text = library.text("mine")
    assert text.options == ReadingOptions()
    assert text.changed_at
