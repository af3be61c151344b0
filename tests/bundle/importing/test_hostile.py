"""Hostile files are refused with the name of what they want, soon, in little memory, unexecuted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.bundle.importing.foreign import ForeignModel
from tests.bundle.importing.hostile import CANARY, attacks

_MOST_SECONDS = 10.0  # of the processor: the budget is 60, and coverage slows it
_MOST_MEGABYTES = 200

# One process that reads each file as the command does, and measures what that took.
_READER = """
import contextlib, gc, io, json, resource, sys
from pathlib import Path

import lorelm.cli.import_
from lorelm.cli.main import main

def seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime

def forget_peak():
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")

def peak_megabytes():
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1000
    return 0

for line in sys.stdin:
    sys.argv = ["lorelm", "import", *json.loads(line)]
    stderr, started, code = io.TextIOWrapper(io.BytesIO()), seconds(), None
    before, sys.stderr = sys.stderr, stderr
    gc.unfreeze()  # main() freezes what is left, for a process that ends
    gc.collect()
    forget_peak()
    try:
        main()
    except SystemExit as end:
        code = end.code
    finally:
        sys.stderr = before
    stderr.seek(0)
    found = [code, stderr.read(), seconds() - started, peak_megabytes(), "torch" in sys.modules]
    print(json.dumps(found), flush=True)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def refused(folder: Path) -> dict[tuple[str, str], list[object]]:
    """What became of each file, as a checkpoint and as a vocabulary."""
    good = folder / "good.pt"
    torch.save(ForeignModel().state_dict(), good)
    lines = {}
    for number, (name, (make, _)) in enumerate(attacks(folder).items()):
        bad = folder / f"{number}.pt"
        bad.write_bytes(make())
        out = ["--out", str(folder / f"out{number}")]
        lines[name, "checkpoint"] = json.dumps([str(bad), *out])
        lines[name, "vocabulary"] = json.dumps([str(good), "--vocab", str(bad), *out])
    ended = subprocess.run(
        [sys.executable, "-c", _READER],
        input="\n".join(lines.values()),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return dict(zip(lines, map(json.loads, ended.stdout.splitlines()), strict=True))


NAMES = list(attacks(Path()))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("role", ["checkpoint", "vocabulary"])
def test_a_hostile_file_is_refused_by_what_it_wants(
    name: str, role: str, folder: Path, refused: dict[tuple[str, str], list[object]]
) -> None:
    _, wanted = attacks(folder)[name]
    code, message, seconds, megabytes, has_torch = refused[name, role]
    assert code == 2
    assert str(message).startswith("lorelm: ")
    assert str(message).count("\n") == 1
    assert f"{NAMES.index(name)}.pt" in str(message)
    assert wanted in str(message)
    assert len(str(message)) < 600
    assert float(str(seconds)) < _MOST_SECONDS
    assert float(str(megabytes)) < _MOST_MEGABYTES
    assert not has_torch


def test_nothing_was_executed_and_nothing_written(
    folder: Path, refused: dict[tuple[str, str], list[object]]
) -> None:
    assert not (folder / CANARY).exists()
    assert sorted(path.suffix for path in folder.iterdir()) == [".pt"] * (len(NAMES) + 1)


def test_the_standard_unpickler_runs_such_a_file(folder: Path) -> None:
    """The files are real: Python's own unpickler runs one of them."""
    import pickle

    make, _ = attacks(folder)["os.system"]
    pickle.loads(make())
    assert (folder / CANARY).exists()
    (folder / CANARY).unlink()
