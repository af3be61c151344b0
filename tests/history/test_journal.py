import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelm.errors import HistoryError
from lorelm.history import journal
from lorelm.history.journal import Journal, take_over
from lorelm.history.record import Record
from lorelm.history.store import HistoryStore
from lorelm.history.writer import HistoryWriter

MakeRecord = Callable[..., Record]

no_windows = pytest.mark.skipif(os.name == "nt", reason="it renames no open files")


def file_of(folder: Path) -> Path:
    return folder / f"history-{os.getpid()}.jsonl"


@pytest.fixture
def dead(tmp_path: Path) -> Callable[[Path], Path]:
    """Makes the file of this process that of another one, which has ended."""
    pid = int(subprocess.check_output([sys.executable, "-c", "import os; print(os.getpid())"]))

    def disown(path: Path) -> Path:
        return path.rename(tmp_path / f"history-{pid}.jsonl")

    return disown


@no_windows
def test_records_of_a_process_that_has_ended_are_taken_over_once(
    tmp_path: Path, make_record: MakeRecord, dead: Callable[[Path], Path]
) -> None:
    records = [
        make_record(prompt="a\nb \x00 \ud800", browser=None),
        make_record(prompt="", prompt_ids=[3, 4], settings={"logit_bias": [[1, 2.5]]}),
    ]
    kept = Journal(tmp_path)
    for record in records:
        kept.append(record)
    assert list(take_over(tmp_path)) == []  # it is running
    with dead(file_of(tmp_path)).open("ab") as file:
        file.write(b'{"created_at": "20')  # killed while it wrote
    assert list(take_over(tmp_path)) == records
    assert list(take_over(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []
    kept.close()


class AwayStore(HistoryStore):
    """A history whose database is away."""

    def add(self, records: Sequence[Record]) -> None:
        raise HistoryError("the database is away")


@no_windows
def test_what_cannot_be_written_at_the_end_is_left_to_others(
    tmp_path: Path, make_record: MakeRecord, dead: Callable[[Path], Path]
) -> None:
    records = [make_record(seed=seed) for seed in range(3)]
    with AwayStore(f"sqlite:///{tmp_path}/history.db") as store:
        writer = HistoryWriter(store, journal=Journal(tmp_path))
        for record in records:
            writer.add(record)
        writer.close(timeout_seconds=0.1)
    dead(file_of(tmp_path))
    assert list(take_over(tmp_path)) == records


def test_what_is_written_is_forgotten(tmp_path: Path, make_record: MakeRecord) -> None:
    kept = Journal(tmp_path)
    kept.append(make_record())
    kept.keep([])
    assert file_of(tmp_path).read_bytes() == b""
    kept.append(make_record(seed=8))
    assert json.loads(file_of(tmp_path).read_text())["seed"] == 8
    kept.close()
    assert list(tmp_path.iterdir()) == []


def test_a_long_file_is_rewritten(
    tmp_path: Path, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "_BYTES_BEFORE_REWRITING", 10_000)
    kept = Journal(tmp_path)
    records = [make_record(seed=seed) for seed in range(100)]
    for record in records:
        kept.append(record)
    kept.keep(records[-1:])
    kept.append(make_record(seed=100))
    lines = file_of(tmp_path).read_text().splitlines()
    assert [json.loads(line)["seed"] for line in lines] == [99, 100]
    kept.close()


def test_a_file_that_cannot_be_rewritten_stays(
    tmp_path: Path,
    make_record: MakeRecord,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(journal, "_BYTES_BEFORE_REWRITING", 1)
    kept = Journal(tmp_path)
    file_of(tmp_path).with_suffix(".new").mkdir()
    records = [make_record(seed=seed) for seed in range(3)]
    for record in records:
        kept.append(record)
    kept.keep(records[-1:])
    assert len(file_of(tmp_path).read_text().splitlines()) == 3
    assert "cannot be made shorter" in caplog.text
    kept.close()


@no_windows
def test_a_line_that_is_no_record_costs_no_other(
    tmp_path: Path,
    make_record: MakeRecord,
    dead: Callable[[Path], Path],
    caplog: pytest.LogCaptureFixture,
) -> None:
    kept = Journal(tmp_path)
    kept.append(make_record(seed=1))
    path = dead(file_of(tmp_path))
    good = path.read_bytes()
    path.write_bytes(b'\xff\n{}\n[]\n{"created_at": 3}\n' + good)
    assert [each.seed for each in take_over(tmp_path)] == [1]
    assert caplog.text.count("is damaged") == 4
    assert list(tmp_path.iterdir()) == []
    kept.close()


@no_windows
def test_a_record_that_did_not_fit_leaves_no_part_of_it(
    tmp_path: Path, make_record: MakeRecord, caplog: pytest.LogCaptureFixture
) -> None:
    import resource

    kept = Journal(tmp_path)
    kept.append(make_record(seed=1))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    room = file_of(tmp_path).stat().st_size + 50
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        kept.append(make_record(seed=2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    kept.append(make_record(seed=3))
    lines = file_of(tmp_path).read_text().splitlines()
    assert [json.loads(line)["seed"] for line in lines] == [1, 3]
    assert "would be lost" in caplog.text
    kept.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk is that of Linux")
def test_a_full_disk_is_logged_and_the_record_is_queued(
    tmp_path: Path, make_record: MakeRecord, caplog: pytest.LogCaptureFixture
) -> None:
    file_of(tmp_path).symlink_to("/dev/full")
    kept = Journal(tmp_path)
    with HistoryStore(f"sqlite:///{tmp_path}/history.db") as store:
        writer = HistoryWriter(store, journal=kept)
        writer.add(make_record())
        writer.close(timeout_seconds=5)
        assert [each.seed for each in store.iterate()] == [7]
    assert "would be lost if this worker died: [Errno 28] No space left" in caplog.text


def test_a_writer_leaves_nothing_in_the_file(tmp_path: Path, make_record: MakeRecord) -> None:
    with HistoryStore(f"sqlite:///{tmp_path}/history.db") as store:
        writer = HistoryWriter(store, journal=Journal(tmp_path))
        for seed in range(50):
            writer.add(make_record(seed=seed))
        assert writer.flush(timeout_seconds=20)
        assert file_of(tmp_path).read_bytes() == b""
        writer.close(timeout_seconds=5)
        assert not file_of(tmp_path).exists()
        assert store.stats().num_records == 50


@given(text=st.text())
def test_every_text_comes_back(make_record: MakeRecord, text: str) -> None:
    record = make_record(text=text, prompt=text, settings={"stop": [text]})
    assert journal._record(journal._line(record)) == record
