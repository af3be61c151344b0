"""The corpus of the base model: books and plays in three parts."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

import make_corpus
from lorelm.bundle import EMBEDDED_PATH, Bundle
from lorelm.corpus.documents import CorpusParts, ReadingOptions
from lorelm.corpus.readers import read_documents

pytestmark = pytest.mark.system

BOOKS = [
    ("the-mill", 1, "“Don’t go,” said the owl."),
    ("the-mill", 1, "NOTE: nothing came of it."),
    ("a-play", 1, "LORD O’OWL: Who goes there?"),
    ("a-play", 1, "FOX: (Bowing.) I do."),
    ("a-play", 1, "Said Mr. Fox: “No: I do.”"),
    *(("the-long-mill", number, f"Chapter {number} had one line.") for number in range(1000)),
]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(make_corpus.main, [*map(str, arguments)])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    books = pl.DataFrame(BOOKS, schema=["work", "chapter", "text"], orient="row")
    books.write_parquet(folder / "books.parquet")
    result = run(folder / "books.parquet", "--out", folder / "parts")
    assert result.exit_code == 0, result.output
    return folder / "parts"


def rows(corpus: Path, part: str) -> list[tuple[str, str, str]]:
    return pl.read_parquet(corpus / f"{part}.parquet").rows()


def test_speeches_have_their_speakers_and_quotation_marks_are_straight(corpus: Path) -> None:
    assert rows(corpus, "train")[:5] == [
        ("the-mill 1", "", '"Don\'t go," said the owl.'),
        ("the-mill 1", "NOTE", "nothing came of it."),
        ("a-play 1", "LORD O'OWL", "Who goes there?"),
        ("a-play 1", "FOX", "(Bowing.) I do."),
        ("a-play 1", "", 'Said Mr. Fox, "No: I do."'),
    ]


def test_shakespeare_is_among_them(corpus: Path) -> None:
    speakers = {speaker for _, speaker, _ in rows(corpus, "train")}
    assert {"HAMLET", "Hamlet"} & speakers


def test_a_chapter_is_in_one_part_and_one_in_a_hundred_in_each_held_out_one(corpus: Path) -> None:
    scenes = [{scene for scene, _, _ in rows(corpus, part)} for part in make_corpus.PARTS]
    train, valid, test = scenes
    assert not train & valid
    assert not train & test
    assert not valid & test
    total = sum(map(len, scenes))
    assert 0.005 * total < len(valid) < 0.02 * total
    assert 0.005 * total < len(test) < 0.02 * total


def test_a_fifth_of_the_chapters_to_train_on_is_there_in_plain_words_too(corpus: Path) -> None:
    table = rows(corpus, "train")
    plain = [row for row in table if " in plain words " in row[0]]
    written_plain = {scene.split(" in plain words ")[0] for scene, _, _ in plain}
    chapters = {s for s, _, _ in table if "in plain words" not in s and not s.startswith("chat ")}
    assert written_plain < chapters
    assert 0.15 * len(chapters) < len(written_plain) < 0.25 * len(chapters)
    assert {speaker for _, speaker, _ in plain} == {""}
    texts = {f"<unk> Chapter {number} had one line" for number in range(1000)}
    of_the_mill = [text for scene, _, text in plain if scene.startswith("the-long-mill ")]
    assert of_the_mill
    assert set(of_the_mill) <= texts
    for part in ("valid", "test"):
        assert not any("in plain words" in scene for scene, _, _ in rows(corpus, part))


def test_plain_words_keep_their_apostrophes_and_the_capitals_of_names() -> None:
    plain = make_corpus.in_plain_words(
        "“Don't!” I\nsaid—3 TIMES to Mr. Bell.", frozenset({"don't", "said", "times", "to"})
    )
    assert plain == "don't I said 3 times to Mr Bell"


def test_ordinary_words_stand_mostly_in_lower_case() -> None:
    texts = pl.Series(["The bell, the Bell and the END. Rose rose.", "I saw Mr. Bell’s rose"])
    ordinary = make_corpus.ordinary_words(texts)
    assert ordinary == {"the", "bell", "and", "rose", "saw"}


def test_each_part_has_chats_that_begin_with_unk(corpus: Path) -> None:
    for part in make_corpus.PARTS:
        chats = [text for scene, _, text in rows(corpus, part) if scene.startswith("chat ")]
        assert all(text.startswith("<unk> ") for text in chats)
        assert sum("\n" in text for text in chats) > 0.9 * len(chats) > 0


def test_lorelm_reads_the_parts(corpus: Path) -> None:
    options = ReadingOptions(
        text_column="text", speaker_column="speaker", scene_column="scene", document="text"
    )
    documents = read_documents(corpus / "train.parquet", options)
    assert any("HAMLET: " in text or "Hamlet: " in text for text in documents.texts)


@pytest.mark.slow
def test_the_embedded_model_was_trained_on_this_corpus(
    corpus_file: Callable[[str], Path], tmp_path: Path
) -> None:
    assert run(corpus_file("books/books.parquet"), "--out", tmp_path).exit_code == 0
    manifest = Bundle.load(EMBEDDED_PATH).manifest
    assert manifest.corpus is not None
    options = manifest.corpus.files[0].options
    parts = [read_documents(tmp_path / f"{part}.parquet", options) for part in make_corpus.PARTS]
    read = CorpusParts(documents=parts[0], valid=parts[1], test=parts[2])
    assert read.fingerprint == manifest.corpus.fingerprint


def test_a_wrong_file_is_refused_and_nothing_written(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("no table")
    pl.DataFrame({"text": ["only text"]}).write_parquet(tmp_path / "other.parquet")
    for name, reason in (
        ("none.parquet", "there is no file"),
        ("text.parquet", "is no Parquet file"),
        ("other.parquet", "it lacks chapter, work"),
    ):
        result = run(tmp_path / name, "--out", tmp_path / "out")
        assert result.exit_code == 2
        assert reason in result.stderr
    assert not (tmp_path / "out").exists()


def test_passages_are_of_about_250_words_and_keep_their_lines() -> None:
    lines = [f"{number} {'word ' * 99}".strip() for number in range(7)]
    found = [*make_corpus.passages(lines)]
    assert "\n".join(found).split("\n") == lines
    assert [text.count("\n") + 1 for text in found] == [3, 3, 1]
