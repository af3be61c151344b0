"""The books of the base model are fetched, checked and written, from a local server."""

import csv
import io
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result
from tests.base.editions import Mirror, archive, page, serve
from tests.errors import raises_code

import book_archives
import book_table
import fetch_books
from book_archives import ArchiveCache
from book_sources import GITHUB, Counts, Source, read_sources
from book_table import Row, count, describe_difference, rows_sha256
from lorelm.errors import CorpusError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NOVEL, PLAY = "ann-author_the-mill", "ann-author_a-play"
NOVEL_ROWS = [
    (1, "The mill stood by the river."),
    (1, "“Who goes there?” said the owl."),
    (2, "Nobody answered."),
    (3, "So it ended."),
]
PLAY_ROWS = [(1, "OWL: Who goes there?"), (1, "FOX: (Bowing.) I do.")]


def chapter(name: str, content: str) -> str:
    return page(f'<section id="{name}" epub:type="chapter"><h2>I</h2>{content}</section>')


def novel(commit: str = COMMIT) -> bytes:
    pages = {
        "titlepage.xhtml": page("<section><p>The Mill</p></section>", "frontmatter"),
        "chapter-1.xhtml": chapter(
            "one", "".join(f"<p>{text}</p>" for number, text in NOVEL_ROWS if number == 1)
        ),
        "chapter-2.xhtml": chapter("two", f"<p>{NOVEL_ROWS[2][1]}</p>"),
        "chapter-3.xhtml": chapter("three", f"<p>{NOVEL_ROWS[3][1]}</p>"),
        "colophon.xhtml": page("<section><p>Made by hand.</p></section>", "backmatter"),
    }
    return archive(NOVEL, commit, pages)


def play() -> bytes:
    table = (
        '<table><tr><td epub:type="z3998:persona">Owl</td><td>Who goes there?</td></tr>'
        '<tr><td epub:type="z3998:persona">Fox</td><td>'
        '<i epub:type="z3998:stage-direction">Bowing.</i> I do.</td></tr></table>'
    )
    body = f'<section id="act-1" epub:type="chapter z3998:scene"><h2>Act I</h2>{table}</section>'
    return archive(PLAY, COMMIT, {"act-1.xhtml": page(body, "bodymatter z3998:drama")})


def path_of(work: str) -> str:
    return f"/standardebooks/{work}/archive/{COMMIT}.zip"


def source(work: str = NOVEL, **counts: int) -> Source:
    sizes = {"words": 17, "paragraphs": 4, "chapters": 3} if work == NOVEL else {}
    sizes = {"words": 8, "paragraphs": 2, "chapters": 1, **sizes, **counts}
    return Source(
        work=work,
        author="Ann Author",
        title=work.partition("_")[2].replace("-", " ").title(),
        repository=f"{GITHUB}/standardebooks/{work}",
        commit=COMMIT,
        counts=Counts(**sizes),
    )


def write_sources(path: Path, *sources: Source) -> Path:
    columns = ["work", "author", "title", "repository", "commit", "words", "paragraphs", "chapters"]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for each in sources:
            counts = each.counts
            numbers = [counts.words, counts.paragraphs, counts.chapters]
            names = [each.work, each.author, each.title, each.repository, each.commit]
            writer.writerow([*names, *numbers])
    return path


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with serve(Mirror({path_of(NOVEL): novel(), path_of(PLAY): play()})) as started:
        yield started


@pytest.fixture
def cache(mirror: Mirror, tmp_path: Path) -> ArchiveCache:
    return ArchiveCache(tmp_path / "downloads", mirror=mirror.url, pause_seconds=0)


@dataclass
class Command:
    """`fetch_books.py` with its files in one folder."""

    folder: Path
    mirror: str
    sources: Path

    @property
    def out(self) -> Path:
        return self.folder / "books.parquet"

    def run(self, *more: str) -> Result:
        options = ["--out", str(self.out), "--mirror", self.mirror, "--sources", str(self.sources)]
        return CliRunner().invoke(fetch_books.main, [*options, *more])


@pytest.fixture
def command(mirror: Mirror, tmp_path: Path) -> Command:
    sources = write_sources(tmp_path / "sources.csv", source(NOVEL), source(PLAY))
    return Command(tmp_path, mirror.url, sources)


def test_the_table_has_a_row_a_paragraph_in_the_order_of_the_list(command: Command) -> None:
    result = command.run()
    assert result.exit_code == 0, result.output
    table = pl.read_parquet(command.out)
    assert table.rows() == [
        *((NOVEL, "Ann Author", "The Mill", number, text) for number, text in NOVEL_ROWS),
        *((PLAY, "Ann Author", "A Play", number, text) for number, text in PLAY_ROWS),
    ]


def test_a_second_run_downloads_nothing_and_gives_the_same_rows(
    command: Command, mirror: Mirror
) -> None:
    first = command.run()
    content = command.out.read_bytes()
    mirror.files.clear()
    second = command.run()
    assert (second.exit_code, second.stdout) == (0, first.stdout)
    assert command.out.read_bytes() == content
    assert len(mirror.requests) == 2


def test_the_hash_is_of_the_rows_and_not_of_the_file(command: Command) -> None:
    printed = command.run().stdout.split()[-1]
    rows = [Row(*row) for row in pl.read_parquet(command.out).iter_rows()]
    assert rows_sha256(rows) == printed
    assert rows_sha256(rows[::-1]) != printed
    # Where one column ends and the next begins is a part of it, too.
    assert rows_sha256([Row("a", "b", "", 1, "x")]) != rows_sha256([Row("a", "", "b", 1, "x")])


def test_a_book_that_differs_is_named_and_nothing_is_written(command: Command) -> None:
    write_sources(command.sources, source(NOVEL, words=20, chapters=2), source(PLAY))
    result = command.run()
    assert result.exit_code == 1
    assert f"{NOVEL} has 17 words instead of 20 (-3), 3 chapters instead of 2 (+1)" in result.stderr
    assert PLAY not in result.stderr.replace(f"2/2 {PLAY}", "")
    assert not command.out.exists()


def test_a_table_that_differs_is_written_on_request(command: Command) -> None:
    write_sources(command.sources, source(NOVEL, paragraphs=5), source(PLAY))
    result = command.run("--accept-differences")
    assert result.exit_code == 1
    assert "4 paragraphs instead of 5 (-1)" in result.stderr
    assert pl.read_parquet(command.out).height == 6


@pytest.mark.parametrize("is_same", [True, False])
def test_rows_are_compared_with_the_hash_that_is_checked_in(
    command: Command, monkeypatch: pytest.MonkeyPatch, is_same: bool
) -> None:
    expected = command.run().stdout.split()[-1] if is_same else "0" * 64
    monkeypatch.setattr(fetch_books, "SOURCES", command.sources)
    monkeypatch.setattr(fetch_books, "ROWS_SHA256", expected)
    command.out.unlink(missing_ok=True)
    result = command.run()
    assert result.exit_code == (0 if is_same else 1)
    assert command.out.exists() == is_same
    assert ("the hash of all rows" in result.stderr) != is_same


@pytest.mark.system
def test_the_script_runs_from_any_folder(command: Command) -> None:
    options = ["--out", "books.parquet", "--mirror", command.mirror, "--sources", "sources.csv"]
    script = [sys.executable, fetch_books.__file__, *options]
    subprocess.run(script, cwd=command.folder, check=True, capture_output=True)
    assert pl.read_parquet(command.out).height == 6


def test_ctrl_c_is_one_line(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ArchiveCache, "archive", stop)
    result = command.run()
    assert result.exit_code == 130
    assert "run the same command again" in result.stderr


def test_an_interrupted_download_is_resumed(cache: ArchiveCache, mirror: Mirror) -> None:
    mirror.cut_after[path_of(NOVEL)] = 500
    assert cache.archive(source()).comment == COMMIT.encode()
    assert mirror.requests == [(path_of(NOVEL), None), (path_of(NOVEL), "bytes=500-")]


def test_a_download_of_an_earlier_run_is_resumed(
    command: Command, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book_archives, "_ATTEMPTS", 1)
    mirror.cut_after[path_of(NOVEL)] = 500
    failed = command.run()
    assert failed.exit_code == 2
    assert "run the same command again" in failed.stderr
    assert not command.out.exists()
    assert command.run().exit_code == 0
    assert mirror.requests[1] == (path_of(NOVEL), "bytes=500-")


def test_a_server_without_ranges_sends_it_again(
    cache: ArchiveCache, mirror: Mirror, tmp_path: Path
) -> None:
    mirror.sends_ranges = False
    mirror.cut_after[path_of(NOVEL)] = 500
    cache.archive(source())
    # A zip archive may follow other bytes, such as those of the first attempt.
    [path] = (tmp_path / "downloads").iterdir()
    assert path.read_bytes() == novel()


def test_parts_of_two_archives_are_not_joined(
    cache: ArchiveCache, mirror: Mirror, tmp_path: Path
) -> None:
    """GitHub may pack the same files again, in other bytes."""
    folder = tmp_path / "downloads"
    folder.mkdir()
    part = folder / f"{NOVEL}.{COMMIT}.zip.part"
    part.write_bytes(bytes(500))
    assert cache.archive(source()).comment == COMMIT.encode()
    assert mirror.requests == [(path_of(NOVEL), "bytes=500-"), (path_of(NOVEL), None)]
    assert [path.name for path in folder.iterdir()] == [f"{NOVEL}.{COMMIT}.zip"]


def test_a_part_that_is_too_long_begins_anew(
    cache: ArchiveCache, mirror: Mirror, tmp_path: Path
) -> None:
    folder = tmp_path / "downloads"
    folder.mkdir()
    (folder / f"{NOVEL}.{COMMIT}.zip.part").write_bytes(bytes(len(novel()) + 9))
    assert cache.archive(source()).comment == COMMIT.encode()


def test_a_busy_server_is_asked_again(cache: ArchiveCache, mirror: Mirror) -> None:
    mirror.statuses[path_of(NOVEL)] = [429, 503]
    assert cache.archive(source()).comment == COMMIT.encode()


@pytest.mark.parametrize("status", [403, 404])
def test_a_refusal_is_not_repeated(cache: ArchiveCache, mirror: Mirror, status: int) -> None:
    mirror.statuses[path_of(NOVEL)] = [status]
    with raises_code(CorpusError, "books.refused"):
        cache.archive(source())
    assert len(mirror.requests) == 1


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    with serve(Mirror({})) as gone:
        pass
    cache = ArchiveCache(tmp_path, mirror=gone.url, pause_seconds=0)
    with raises_code(CorpusError, "books.download") as caught:
        cache.archive(source())
    assert gone.url in str(caught.value)


def test_an_archive_of_another_commit_is_refused(
    cache: ArchiveCache, mirror: Mirror, tmp_path: Path
) -> None:
    mirror.files[path_of(NOVEL)] = novel("f" * 40)
    with raises_code(CorpusError, "books.wrong_commit"):
        cache.archive(source())
    assert not list((tmp_path / "downloads").iterdir())


def test_a_damaged_archive_is_refused(cache: ArchiveCache, mirror: Mirror, tmp_path: Path) -> None:
    content = bytearray(novel())
    content[content.index(b"PK\x01\x02") - 20] ^= 0xFF  # in the last page
    mirror.files[path_of(NOVEL)] = bytes(content)
    with raises_code(CorpusError, "books.damaged_archive"):
        cache.archive(source())
    assert not list((tmp_path / "downloads").iterdir())


def test_a_zip_bomb_is_refused(cache: ArchiveCache, mirror: Mirror) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.comment = COMMIT.encode()
        file.writestr("a/zeros", bytes(32 << 20))
    mirror.files[path_of(NOVEL)] = packed.getvalue()
    with raises_code(CorpusError, "books.damaged_archive"):
        cache.archive(source())


def test_an_endless_download_is_refused(
    cache: ArchiveCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book_archives, "MAX_ARCHIVE_BYTES", 500)
    with raises_code(CorpusError, "books.too_large"):
        cache.archive(source())


def test_a_file_that_was_damaged_in_the_cache_is_downloaded_again(
    cache: ArchiveCache, mirror: Mirror, tmp_path: Path
) -> None:
    cache.archive(source())
    [path] = (tmp_path / "downloads").iterdir()
    path.write_bytes(path.read_bytes()[:-100])
    assert cache.archive(source()).comment == COMMIT.encode()
    assert len(mirror.requests) == 2


def test_a_cache_that_is_no_folder_is_named(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = command.run("--cache", str(tmp_path / "file" / "in-it"))
    assert result.exit_code == 2
    assert "--cache" in result.stderr


def test_only_addresses_of_the_web_are_opened(command: Command) -> None:
    result = command.run("--mirror", "file:///etc")
    assert result.exit_code == 2
    assert "--mirror" in result.stderr


def test_a_missing_folder_is_found_before_the_downloads(command: Command, mirror: Mirror) -> None:
    result = CliRunner().invoke(
        fetch_books.main,
        ["--out", str(command.folder / "no" / "books.parquet"), "--mirror", command.mirror],
    )
    assert result.exit_code == 2
    assert not mirror.requests


def test_a_table_that_cannot_be_written_leaves_nothing_behind(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: pl.DataFrame, path: Path, **_: object) -> None:
        path.write_bytes(b"PAR1")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    result = command.run()
    assert result.exit_code == 2
    assert "No space left on device" in result.stderr
    assert not list(command.folder.glob("books.parquet*part"))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("work,", "book,"), "books.sources_wrong"),
        ((NOVEL, "../elsewhere"), "books.sources_wrong"),
        ((COMMIT, "main"), "books.sources_wrong"),
        ((GITHUB, "file:///etc"), "books.sources_wrong"),
        ((",17,", ",many,"), "books.sources_wrong"),
        ((PLAY, NOVEL), "books.sources_wrong"),
    ],
)
def test_a_wrong_list_is_refused(tmp_path: Path, change: tuple[str, str], code: str) -> None:
    path = write_sources(tmp_path / "sources.csv", source(NOVEL), source(PLAY))
    path.write_text(path.read_text("utf-8").replace(*change), "utf-8")
    with raises_code(CorpusError, code):
        read_sources(path)


def test_a_list_without_books_is_refused(tmp_path: Path) -> None:
    with raises_code(CorpusError, "books.sources_wrong"):
        read_sources(write_sources(tmp_path / "sources.csv"))


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    with raises_code(CorpusError, "books.sources_unreadable"):
        read_sources(tmp_path / "sources.csv")


def test_the_list_that_is_checked_in_is_right() -> None:
    sources = read_sources(fetch_books.SOURCES)
    assert len(sources) == 150
    assert sum(each.counts.words for each in sources) == 16_988_585
    assert sum(each.counts.paragraphs for each in sources) == 344_302


@pytest.mark.slow
def test_counts_and_hash_are_those_of_the_real_table(data_dir: Path) -> None:
    path = data_dir / "books" / "books.parquet"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    rows = [Row(*row) for row in pl.read_parquet(path).iter_rows()]
    assert rows_sha256(rows) == book_table.ROWS_SHA256
    books: dict[str, list[Row]] = {}
    for row in rows:
        books.setdefault(row.work, []).append(row)
    sources = read_sources(fetch_books.SOURCES)
    assert [each.work for each in sources] == list(books)
    assert not [
        difference
        for each in sources
        if (difference := describe_difference(each, count(books[each.work])))
    ]
