import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lorelm.cli.diagnosis import Diagnosis, Folder, findings_of_folder, findings_of_speed
from lorelm.machine.memory import Memory
from lorelm.machine.processor import Processor

Lorelm = Callable[..., "subprocess.CompletedProcess[str]"]

IDLE = Diagnosis(
    versions={},
    processor=Processor("Elven Smith", {"AVX2": True}),
    cores=2,
    load=0.1,
    memory=Memory(8 * 10**9, 16 * 10**9),
    data_folder=Folder(path="/data", free_bytes=10**11, is_writable=True),
    temporary_folder=Folder(path="/tmp", free_bytes=10**11, is_writable=True),
    history=None,
    tokens_per_second=2000.0,
    findings=[],
)


def history_url(folder: Path) -> str:
    return f"sqlite:///{folder}/history.db"


@pytest.mark.system
def test_what_works_is_described(lorelm: Lorelm, tmp_path: Path) -> None:
    said = lorelm("doctor", "--history", history_url(tmp_path)).stdout
    labels = {line[:16].strip() for line in said.splitlines() if line[:1].isalpha()}
    assert {"versions", "processor", "cores", "data", "temporary files", "history"} <= labels
    assert "onnxruntime" in said
    assert "tokens/s of the embedded model" in said
    assert "wrong: " not in said
    assert list(tmp_path.iterdir()) == []  # no history was made


@pytest.mark.system
def test_programs_get_json(lorelm: Lorelm, tmp_path: Path) -> None:
    found = json.loads(lorelm("doctor", "--json", "--history", history_url(tmp_path)).stdout)
    assert found["works"]
    assert found["tokens_per_second"] > 0
    assert found["versions"]["numpy"]
    assert 1 <= found["cores"] <= (os.cpu_count() or 1)
    assert found["history"]["revision"] is None
    assert found["data_folder"]["free_bytes"] > 0


@pytest.mark.system
def test_what_does_not_work_is_told_with_an_exit_code(lorelm: Lorelm, tmp_path: Path) -> None:
    (tmp_path / "history.db").write_bytes(b"Once upon a time" * 1000)
    ended = lorelm("doctor", "--history", history_url(tmp_path), code=1)
    assert "history         cannot be read\n" in ended.stdout
    assert f"wrong: the history in {tmp_path}/history.db cannot be read: file" in ended.stdout
    assert "tokens/s" in ended.stdout  # the rest is told, too
    found = json.loads(
        lorelm("doctor", "--json", "--history", history_url(tmp_path), code=1).stdout
    )
    assert not found["works"]
    assert "wrong" in [finding["kind"] for finding in found["findings"]]


@pytest.mark.system
@pytest.mark.parametrize("missing", ["onnxruntime", "torch"])
def test_a_package_that_is_missing(missing: str, tmp_path: Path) -> None:
    """Nothing else fails because of it, and PyTorch is not imported at all."""
    code = f"import sys; sys.modules[{missing!r}] = None\nfrom lorelm.cli.main import main; main()"
    command = [sys.executable, "-c", code, "doctor", "--history", history_url(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.stderr == ""
    is_wrong = "wrong: the embedded model does not run" in ended.stdout
    assert is_wrong == (missing == "onnxruntime")
    assert ended.returncode == is_wrong


def test_an_idle_machine_is_not_slow() -> None:
    assert list(findings_of_speed(IDLE)) == []
    unknown: dict[str, Any] = {"load": None, "memory": None, "tokens_per_second": None}
    assert list(findings_of_speed(replace(IDLE, **unknown))) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"load": 10_000.0}, "10000.0 processes want "),
        ({"memory": Memory(10**8, 10**9)}, "100 MB of memory are free"),
        ({"processor": Processor("Old Smith", {"AVX2": False})}, "(Old Smith) has no AVX2"),
        ({"tokens_per_second": 39.7}, "writes 40 tokens/s, fewer than 400"),
    ],
)
def test_what_is_slow_is_told_with_a_hint(changed: dict[str, Any], said: str) -> None:
    [finding] = findings_of_speed(replace(IDLE, **changed))
    assert finding.kind == "slow"
    assert said in finding.message
    assert finding.hint


@pytest.mark.parametrize(
    ("changed", "kinds"),
    [({}, []), ({"is_writable": False}, ["wrong"]), ({"free_bytes": 10**8}, ["note"])],
)
def test_folders_need_space_and_permission(changed: dict[str, Any], kinds: list[str]) -> None:
    folder = replace(IDLE.data_folder, **changed)
    assert [finding.kind for finding in findings_of_folder(folder)] == kinds
