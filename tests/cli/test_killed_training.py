import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lorelm.bundle import Bundle
from lorelm.corpus.documents import Documents

pytestmark = pytest.mark.system

NUM_KILLS = 20

TRAIN = ["train", "tales.txt", "--checkpoint-steps", "1", "--tokenizer", "words"]
TRAIN += ["--embedding-size", "16", "--hidden-size", "16", "--batch-size", "4", "--bptt", "8"]
TRAIN += ["--min-frequency", "1", "--epochs", "15"]

CHECKPOINT = "killed/checkpoint.safetensors"

# Trains without an interruption, and again with many; a killed run is resumed where it left a
# checkpoint, and killed again at a random time after it began to train. Each run is a process of
# its own, but forked: PyTorch is imported once for all runs.
DRIVER = """
import json, os, pathlib, random, signal, sys, time
from lorelm.cli.main import main
import torch._dynamo  # which the first step of an optimizer imports: a second
import lorelm.cli.train, lorelm.cli.training_display, lorelm.training.train

def begin(arguments):
    run = os.fork()
    if run == 0:
        sys.argv = ["lorelm", *arguments]
        main()
        os._exit(0)
    return run

def wait(run):
    return os.waitstatus_to_exitcode(os.waitpid(run, 0)[1])

def written(path):
    try:
        return os.stat(path).st_mtime_ns
    except FileNotFoundError:
        return 0

arguments, num_kills, checkpoint = json.loads(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
assert wait(begin([*arguments, "--out", "whole"])) == 0
manifest = json.loads(pathlib.Path("whole/manifest.json").read_text())
longest_wait = manifest["training"]["seconds"] / num_kills
waits = random.Random(7)
for number in range(num_kills + 1):
    before = written(checkpoint)
    run = begin(["train", "--resume", "killed"] if before else [*arguments, "--out", "killed"])
    if number == num_kills:
        assert wait(run) == 0
        break
    while written(checkpoint) in (0, before):  # 0 also while a run tries whether it can be renamed
        assert os.waitpid(run, os.WNOHANG) == (0, 0), "it ended by itself"
        time.sleep(0.001)
    time.sleep(waits.uniform(0, longest_wait))
    os.kill(run, signal.SIGKILL)
    assert wait(run) == -signal.SIGKILL
"""


def record(bundle: Path) -> list[dict[str, Any]]:
    """How training went, without what depends on the clock."""
    lines = (bundle / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [{k: v for k, v in row.items() if "second" not in k} for row in rows]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the runs are forked")
def test_a_run_killed_twenty_times_ends_with_the_weights_of_an_uninterrupted_one(
    tales: Documents, tmp_path: Path
) -> None:
    (tmp_path / "tales.txt").write_text("\n".join(tales.texts), encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-c", DRIVER, json.dumps(TRAIN), str(NUM_KILLS), CHECKPOINT],
        cwd=tmp_path,
        check=False,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    assert ended.returncode == 0, ended.stderr
    places = re.findall(r"Going on from (.+)\.", ended.stderr)
    assert len(places) == NUM_KILLS
    assert len(set(places)) > NUM_KILLS / 2
    whole, killed = (Bundle.load(tmp_path / name) for name in ("whole", "killed"))
    expected, found = whole.weights(), killed.weights()
    assert all(found[name].tobytes() == expected[name].tobytes() for name in expected)
    assert record(killed.path) == record(whole.path)
    assert not list(killed.path.glob("*checkpoint*"))
