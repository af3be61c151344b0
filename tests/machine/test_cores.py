import os
import subprocess
import sys

import pytest

from lorelm.machine.cores import available_cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux sets affinities")
def test_cores_are_those_of_the_affinity() -> None:
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from lorelm.machine.cores import available_cores; print(available_cores())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "1\n"


@pytest.mark.parametrize(
    ("line", "files"),
    [
        ("0::/box/inner", {"box/cpu.max": "100000 100000", "box/inner/cpu.max": "max 100000"}),
        (
            "3:cpu,cpuacct:/box",
            {"cpu/box/cpu.cfs_quota_us": "50000", "cpu/box/cpu.cfs_period_us": "100000"},
        ),
    ],
    ids=["version 2, of a group above", "version 1"],
)
def test_cores_are_limited_by_the_quota_of_the_control_group(tmp_path, line, files) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    own = tmp_path / "own"
    own.write_text(f"9:memory:/other\n{line}\n")
    assert available_cores(tmp_path, own) == 1


def test_a_group_without_a_limit_limits_nothing(tmp_path) -> None:
    (tmp_path / "cpu.max").write_text("max 100000\n")
    own = tmp_path / "own"
    own.write_text("0::/gone\n")
    assert available_cores(tmp_path, own) == len(os.sched_getaffinity(0))
