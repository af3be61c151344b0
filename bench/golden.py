"""Record what one checkout outputs, and compare another checkout with it.

    python bench/golden.py record --checkout /work/base --out /tmp/golden/base
    python bench/golden.py compare --checkout . --golden /tmp/golden/base [--only python,api]

A refactoring must not change behaviour, and this script checks that from outside: it runs
`python -m lorelm`, its server and `lorelm.load` in child processes with the checkout's `src` on
PYTHONPATH, and never imports lorelm itself. Both commands must run on the same machine, because
floats differ between processors. Help and error texts are not compared. `compare` prints the first
differences of each section and ends with exit code 1 if there are any.

`record` keeps the bundles that it trained, and `compare` generates with those, so it also shows
that old bundles still load.
"""

import argparse
import contextlib
import hashlib
import json
import math
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Final

# Names that were changed on purpose: {"old": "new"}. The old side is a key, or a path such as
# "python/*/result/samples/*/num_tokens"; the recorded outputs are renamed before the comparison.
RENAMED: Final[dict[str, str]] = {
    "train/*/manifest/figures": "metrics",
    "train/*/manifest/cache/sharpness": "theta",
}
# Keys or paths (as above) that are not compared.
IGNORED: Final[tuple[str, ...]] = (
    "train/*/manifest/format_version",
    # Moved into training and metrics.
    "train/*/manifest/evaluation",
    "train/*/manifest/training/*_perplexity",
    # Reworded ("a --stop text was found"); the numbers in it are compared.
    "cli/generate/*/stderr",
    # A value that is no number, or out of range, is now one line, not click's usage text.
    "cli/mistakes/7/is_one_line",
    "cli/mistakes/18/is_one_line",
)
# Keys that differ from run to run and are never recorded.
VOLATILE: Final = ("created", "created_by", "seconds", "tokens_per_second")

DATA: Final = Path(__file__).resolve().parents[2] / "shared/data/tinyshakespeare.txt"
# 100 lines have 39 words that are seen three times, and a mixture weight of 1e-12: too little.
TRAINING_LINES: Final = 1000
RECIPES: Final = {
    "default": "--ngram --hidden-size=48 --embedding-size=48 --epochs=8 --min-frequency=2 "
    "--batch-size=8",
    "classic": "--recipe=classic --hidden-size=24 --embedding-size=24 --epochs=3",
}
DIFFERENCES_SHOWN: Final = 15
LORELM: Final = (sys.executable, "-m", "lorelm")
CHILD: Final = """
import dataclasses, json, sys, lorelm
models, results = {}, []
for case in json.load(sys.stdin):
    key = case["bundle"], case["mixture"], case["cache"]
    if key not in models:
        models[key] = lorelm.load(key[0], mixture=key[1], cache=key[2])
    try:
        reply = models[key].generate(case["prompt"], **case["settings"])
        results.append(dataclasses.asdict(reply))
    except Exception as error:
        if not hasattr(error, "field"):
            raise
        results.append({"field": error.field})
json.dump(results, sys.stdout)
"""

PROMPTS: Final = (
    *("", "ROMEO:", "O, she doth teach the torches", "to be, or not", "KING zyx of Qwerty: "),
    *("First Citizen:\n", "First Citizen:\nWe are accounted poor citizens,", "the the the", "—"),
    *("You are all resolved rather to die than to famish?", "  Speak,   speak.\n\n", "don't"),
    "Let us kill him, and we'll have corn at our own price. " * 12,
)
CHOICES: Final[dict[str, Sequence[Any]]] = {
    "temperature": (0, 0.3, 1.0, 1.5),
    "top_k": (1, 5, 40),
    "top_p": (0.5, 0.9, 0.99),
    "min_p": (0.02, 0.2),
    "repetition_penalty": (0.8, 1.1, 1.5),
    "frequency_penalty": (-0.5, 0.4, 1.5),
    "presence_penalty": (-0.5, 0.4, 1.5),
    "logit_bias": ({"the": 4.0, "you": -100}, {"First": 3.5}, {"we": 2}, {"unheardof": 1}),
    "banned_words": (["the", "and"], [","], ["you", "I", "unheardof"]),
    "stop": ([","], ["the", "."], ["\n"], ["e m"]),
    "novel_span": (6, 8),
    "min_len": (5, 10),
    "max_len": (1, 8, 20, 60),
    "num_samples": (2, 3),
    "num_alternatives": (0, 3, 20),
}

COMPLETION_PROMPTS: Final = (
    *("ROMEO:", "", None, ["First Citizen:\n", "O happy"], [5, 17, 123], PROMPTS[-1]),
)
COMPLETION_VARIANTS: Final[Sequence[dict[str, Any]]] = (
    *({}, {"echo": True}, {"n": 2}, {"max_tokens": 0, "echo": True}, {"stop": [",", "the"]}),
)
MORE_COMPLETIONS: Final[Sequence[dict[str, Any]]] = (
    *({"best_of": 4, "n": 2}, {"best_of": 3, "logprobs": 2}, {"n": 65}, {"logprobs": 6}),
    *({"logit_bias": {"7": 5, "20": -100}}, {"logit_bias": {"the": 5}}, {"suffix": "x"}),
    *({"frequency_penalty": 1.5, "presence_penalty": 0.5}, {"repetition_penalty": 1.3}),
    *({"top_k": 5, "temperature": 0.5}, {"top_p": 0.6}, {"min_p": 0.1}, {"max_tokens": 50}),
    *({"stream_options": {"include_usage": True}}, {"temperature": 0}, {"model": "gone"}),
    *({"prompt": [[5, 17], [1, 9, 9]], "n": 2}, {"prompt": [10**6]}, {"model": "default"}),
)
WRONG_FIELDS: Final[Sequence[dict[str, Any]]] = (
    *({"prompt": 3}, {"prompt": "a" * 20_001}, {"model": "gone"}, {"gone": 1}, {"top_k": "3"}),
    *({"temperature": -1}, {"max_len": 100_000}, {"min_len": 50}, {"num_samples": 0}),
    *({"stop": [""]}, {"timeout_seconds": 0}, {"logit_bias": {"the": 101}}, {"seed": 1.5}),
)
MISTAKES: Final = (
    *("", "gone", "generate", "generate gone hello", "generate corpus.txt hello", "inspect gone"),
    *("generate default a --top-p=2", "generate default a --temperature=x", "score default gone"),
    *("generate default a --logit-bias=the", "generate default a --banned-word=", "serve gone"),
    *("generate classic a --mixture", "train gone --out new", "train corpus.txt"),
    *("train corpus.txt --out corpus.txt", "train corpus.txt --out new --epochs=0"),
    *("train corpus.txt --out new --recipe=gone", "evaluate default unseen.txt --samples=-1"),
    *("compare default", "train --resume default"),
)

Json = Any


@dataclass(frozen=True)
class Checkout:
    """A working tree under test, and a temporary folder with the bundles and texts it works on."""

    path: Path
    work: Path

    @property
    def environment(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("LORELM_")}
        return inherited | {
            "PYTHONPATH": str(self.path / "src"),
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "100",
            "NO_COLOR": "1",
            "XDG_DATA_HOME": str(self.work / "data"),
        }

    def run(self, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command in the temporary folder; paths in its output are made portable."""
        how: dict[str, Any] = {"cwd": self.work, "env": self.environment, "input": stdin}
        ended = subprocess.run(command, **how, capture_output=True, text=True, check=False)
        ended.stdout, ended.stderr = self.portable(ended.stdout), self.portable(ended.stderr)
        return ended

    def output(self, *command: str, stdin: str = "") -> str:
        """Return the standard output of a command that must succeed."""
        ended = self.run(*command, stdin=stdin)
        if ended.returncode:
            raise SystemExit(f"{' '.join(command[:6])} failed:\n{ended.stderr}")
        return ended.stdout

    def portable(self, text: str) -> str:
        """Replace what differs between two runs: the temporary folder and ids of completions."""
        return re.sub(r"cmpl-[0-9a-f]+", "cmpl-*", text.replace(str(self.work), "<work>"))

    @contextlib.contextmanager
    def server(self, *arguments: str) -> Iterator[Callable[..., Json]]:
        """Serve bundles with a fresh history, and yield a function that sends a request."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        history = f"sqlite:///{self.work}/history-{port}.sqlite"
        command = [*LORELM, "serve", *arguments, f"--port={port}", f"--history={history}"]
        output: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        child = subprocess.Popen(command, cwd=self.work, env=self.environment, **output)
        try:
            _wait_for(port, child)
            yield lambda path, body=None, **more: self._ask(port, path, body, **more)
        finally:
            child.terminate()
            child.wait(timeout=30)

    def _ask(self, port: int, path: str, body: Json, kind: str = "application/json") -> Json:
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        url, headers = f"http://127.0.0.1:{port}{path}", {"Content-Type": kind}
        try:
            with urllib.request.urlopen(
                urllib.request.Request(url, content, headers), timeout=60
            ) as response:
                text = self.portable(response.read().decode())
                is_stream = response.headers.get_content_type() == "text/event-stream"
                return _events(text) if is_stream else json.loads(text)
        except urllib.error.HTTPError as error:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                found = json.loads(error.read())["error"]
                return {"status": error.code, "field": found.get("field", found.get("param"))}
            return {"status": error.code}


def _wait_for(port: int, child: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if child.poll() is not None:
            raise SystemExit(f"{child.args} ended with exit code {child.returncode}")
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.1)
    raise SystemExit(f"{child.args} does not answer")


def _events(text: str) -> list[Json]:
    """Parse server-sent events and sort them by sample, as samples interleave by chance."""
    events: list[Json] = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        is_json = fields["data"] != "[DONE]"
        events.append(fields | {"data": json.loads(fields["data"]) if is_json else {}})

    def sample(event: Json) -> float:
        if event.get("event") == "start":
            return -1
        [choice] = event["data"].get("choices") or [{}]
        return event["data"].get("sample", choice.get("index", math.inf))

    return sorted(events, key=sample)


def two_at_a_time(function: Callable[..., Json], items: Sequence[Any]) -> list[Json]:
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(function, items))


def generation_cases() -> list[Json]:
    """Return 200 prompts with settings, three of five for the embedded model."""
    source = random.Random(1)
    cases = []
    for _ in range(200):
        bundle = source.choice(["embedded"] * 3 + ["default"] * 2)
        settings = {"seed": source.randrange(2**40)}
        for name, values in CHOICES.items():
            if source.random() < 0.25:
                settings[name] = source.choice(values)
        cases.append(
            {
                "bundle": bundle,
                "mixture": bundle == "default" and source.random() < 0.5,
                "cache": source.random() < 0.35,
                "prompt": source.choice(PROMPTS),
                "settings": settings,
            }
        )
    return cases


def python(checkout: Checkout) -> Json:
    """Generate with `lorelm.load(...).generate(...)`."""
    cases = generation_cases()

    def results(part: int) -> Json:
        stdin = json.dumps(cases[part::2])
        return json.loads(checkout.output(sys.executable, "-c", CHILD, stdin=stdin))

    even, odd = two_at_a_time(results, [0, 1])
    return [{"case": case, "result": (even, odd)[i % 2][i // 2]} for i, case in enumerate(cases)]


def api(checkout: Checkout) -> Json:
    """Send the same cases to POST /api/generate, plain and streamed, one server a combination."""
    groups: dict[tuple[str, ...], list[Json]] = {}
    for case in generation_cases():
        flags = [f"--{name}" for name in ("mixture", "cache") if case[name]]
        groups.setdefault((case["bundle"], *flags), []).append(case)

    def answers(arguments: tuple[str, ...]) -> Json:
        with checkout.server(*arguments) as ask:
            recorded = []
            for case in groups[arguments]:
                body = {"prompt": case["prompt"]} | case["settings"]
                plain = ask("/api/generate", body)
                streamed = ask("/api/generate", body | {"stream": True})
                recorded.append({"case": body, "plain": plain, "streamed": streamed})
            return recorded

    return dict(zip(map(" ".join, groups), two_at_a_time(answers, list(groups)), strict=True))


def completion_cases() -> list[Json]:
    cases: list[Json] = []
    for i, prompt in enumerate(COMPLETION_PROMPTS):
        for j, variant in enumerate(COMPLETION_VARIANTS):
            logprobs = (i + j) % 7  # from 0 to 5, and none
            common = {"prompt": prompt, "seed": j, "stream": (i + j) % 2 == 0}
            cases.append(common | ({"logprobs": logprobs} if logprobs < 6 else {}) | variant)
    for variant in MORE_COMPLETIONS:
        common = {"prompt": "JULIET:\nO", "seed": 11}
        cases += [common | variant, common | variant | {"stream": True}]
    return [{"model": "embedded"} | case for case in cases]


def openai(checkout: Checkout) -> Json:
    """Send requests to /v1/completions and /v1/models."""
    with checkout.server("embedded", "default") as ask:
        answers = [
            {"case": case, "result": ask("/v1/completions", case)} for case in completion_cases()
        ]
        return {"completions": answers, "models": ask("/v1/models")}


def http(checkout: Checkout) -> Json:
    """Score and check texts, describe the models, and send malformed requests."""
    lines = (checkout.work / "unseen.txt").read_text().splitlines()
    texts = [*PROMPTS, *("\n".join(lines[i : i + 4]) for i in range(0, 28, 4))]
    names = ("embedded", "default")
    with checkout.server(*names) as ask:
        bodies: list[Json] = [
            {"text": text, "num_alternatives": i % 6, "model": names[i % 2]}
            for i, text in enumerate(texts)
        ]
        return {
            "score": [ask("/api/score", body) for body in bodies],
            "check": [ask("/api/check", {"text": text}) for text in texts],
            "model": [ask(f"/api/model?model={name}") for name in names],
            "malformed": [
                *(ask("/api/generate", {"prompt": "a"} | fields) for fields in WRONG_FIELDS),
                *(ask("/api/generate", body) for body in ({}, [], b"{", b"\xff")),
                ask("/api/generate", {"prompt": "a"}, kind="text/plain"),
                ask("/api/score", {"text": "a", "num_alternatives": 1000}),
                *(ask(path) for path in ("/api/generate", "/api/gone", "/api/model?model=gone")),
            ],
        }


def cli(checkout: Checkout) -> Json:
    """Run the commands; of mistakes only the exit code and the form of the message are recorded."""
    measured = [
        *("score --json default unseen.txt", "score --json --mixture default unseen.txt"),
        *("score --json --cache default unseen.txt", "score --json embedded unseen.txt"),
        "evaluate --json --samples=30 default unseen.txt",
        "evaluate --json --samples=20 --cache default unseen.txt",
        "evaluate --json --samples=20 embedded unseen.txt",
        "compare --json default classic embedded --text unseen.txt",
    ]
    outputs = two_at_a_time(lambda line: checkout.output(*LORELM, *line.split()), measured)
    inspected = checkout.output(*LORELM, "inspect", "corpus.txt")
    tables = "\n".join(line for line in inspected.splitlines() if "  " in line)
    return {
        "generate": two_at_a_time(lambda case: _generate(checkout, case), generation_cases()[:40]),
        "measured": dict(zip(measured, map(json.loads, outputs), strict=True)),
        "inspect": _numbers(tables),  # the other lines tell how fast this machine is
        "mistakes": two_at_a_time(lambda line: _mistake(checkout, line), MISTAKES),
    }


def _generate(checkout: Checkout, case: Json) -> Json:
    flags = [f"--{name}" for name in ("mixture", "cache") if case[name]]
    for name, value in case["settings"].items():
        if name == "logit_bias":
            flags += [f"--logit-bias={word}={bias}" for word, bias in value.items()]
        elif name in ("banned_words", "stop"):
            flags += [f"--{name.replace('_', '-').removesuffix('s')}={text}" for text in value]
        elif name != "num_alternatives":  # the command has no such option
            flags.append(f"--{name.replace('_', '-')}={value}")
    ended = checkout.run(*LORELM, "generate", *flags, "--", case["bundle"], case["prompt"])
    result = {"case": case, "exit_code": ended.returncode, "stdout": ended.stdout}
    if ended.returncode:
        return result
    # If the wording changes on purpose, put "stderr" into IGNORED: its numbers remain.
    return result | {"stderr": ended.stderr, "stderr_numbers": _numbers(ended.stderr)}


def _mistake(checkout: Checkout, line: str) -> Json:
    ended = checkout.run(*LORELM, *line.split())
    is_one_line = ended.stderr.strip().count("\n") == 0
    has_traceback = "Traceback" in ended.stderr
    result = {"exit_code": ended.returncode, "is_one_line": is_one_line}
    return {"command": line} | result | {"has_traceback": has_traceback}


def _numbers(text: str) -> list[float]:
    return [float(each.replace(",", "")) for each in re.findall(r"\d[\d,]*(?:\.\d+)?", text)]


def train(checkout: Checkout) -> Json:
    """Train two small models into the folder `trained`."""

    def result(name: str) -> Json:
        bundle = checkout.work / "trained" / name
        options = (*RECIPES[name].split(), "--device=cpu", "--out", str(bundle))
        checkout.output(*LORELM, "train", "corpus.txt", *options)
        metrics = (bundle / "metrics.jsonl").read_text().splitlines()
        return {
            "manifest": json.loads(checkout.portable((bundle / "manifest.json").read_text())),
            "metrics": [json.loads(line) for line in metrics],
            "sha256": {
                name: hashlib.sha256((bundle / name).read_bytes()).hexdigest()
                for name in ("vocabulary.json", "weights.safetensors")
            },
        }

    return dict(zip(RECIPES, two_at_a_time(result, list(RECIPES)), strict=True))


SECTIONS: Final[dict[str, Callable[[Checkout], Json]]] = {
    "train": train,  # first: record makes the bundles of the others with it
    **{"python": python, "api": api, "openai": openai, "cli": cli, "http": http},
}


def without_volatile(value: Json) -> Json:
    if isinstance(value, dict):
        return {k: without_volatile(each) for k, each in value.items() if k not in VOLATILE}
    return [without_volatile(each) for each in value] if isinstance(value, list) else value


def _is_listed(path: str, patterns: Sequence[str]) -> str | None:
    key = path.rpartition("/")[2]
    return next((p for p in patterns if p == key or ("/" in p and fnmatch(path, p))), None)


def renamed(value: Json, path: str) -> Json:
    """Apply RENAMED to recorded outputs."""
    if isinstance(value, dict):
        result = {}
        for key, each in value.items():
            old = _is_listed(f"{path}/{key}", list(RENAMED))
            result[RENAMED[old] if old else key] = renamed(each, f"{path}/{key}")
        return result
    if isinstance(value, list):
        return [renamed(each, f"{path}/{i}") for i, each in enumerate(value)]
    return value


def differences(expected: Json, got: Json, path: str, tolerance: float) -> Iterator[str]:
    """Yield a line for each place where two outputs differ."""
    if _is_listed(path, IGNORED):
        return
    if isinstance(expected, list) and isinstance(got, list):
        if len(expected) != len(got):
            yield f"{path}: expected {len(expected)} items, got {len(got)}"
        expected, got = dict(enumerate(expected)), dict(enumerate(got))
        got = {key: value for key, value in got.items() if key in expected}
        expected = {key: value for key, value in expected.items() if key in got}
    if isinstance(expected, dict) and isinstance(got, dict):
        for key in dict.fromkeys([*expected, *got]):
            pair = expected.get(key, "(absent)"), got.get(key, "(absent)")
            yield from differences(*pair, f"{path}/{key}", tolerance)
    elif not _is_same(expected, got, tolerance):
        yield f"{path}:\n    expected {expected!r:.150}\n    got      {got!r:.150}"


def _is_same(expected: Json, got: Json, tolerance: float) -> bool:
    if isinstance(expected, float) and isinstance(got, float):
        return math.isclose(expected, got, rel_tol=tolerance, abs_tol=tolerance / 1000)
    return type(expected) is type(got) and bool(expected == got)


def prepare(checkout: Checkout, data: Path) -> None:
    """Fill the temporary folder, and check that children import the checkout's package."""
    lines = data.read_text(encoding="utf-8").splitlines(keepends=True)
    (checkout.work / "corpus.txt").write_text("".join(lines[:TRAINING_LINES]))
    (checkout.work / "unseen.txt").write_text("".join(lines[2000:2060]))
    source = checkout.output(sys.executable, "-c", "import lorelm; print(lorelm.__file__)").strip()
    if not Path(source).is_relative_to(checkout.path / "src"):
        raise SystemExit(f"children import {source}, not {checkout.path}/src")
    [manifest] = Path(source).parent.glob("**/embedded/manifest.json")
    shutil.copytree(manifest.parent, checkout.work / "embedded")


def main() -> int:
    parser = argparse.ArgumentParser(description="Record outputs, or compare others with them.")
    commands = parser.add_subparsers(dest="command", required=True)
    for command, folder in (("record", "--out"), ("compare", "--golden")):
        sub = commands.add_parser(command)
        sub.add_argument("--checkout", type=Path, required=True, help="a working tree")
        sub.add_argument(folder, type=Path, required=True, dest="golden", help="recorded outputs")
        sub.add_argument("--only", default=",".join(SECTIONS), help=f"of {','.join(SECTIONS)}")
        sub.add_argument("--data", type=Path, default=DATA, help="text to train on")
        sub.add_argument("--tolerance", type=float, default=1e-6, help="relative, of floats")
    options = parser.parse_args()
    chosen = options.only.split(",")
    if not set(chosen) <= set(SECTIONS):
        parser.error(f"--only takes names of {','.join(SECTIONS)}")
    bundles = options.golden / "bundles"
    is_record = options.command == "record"
    if not is_record and not bundles.exists():
        parser.error(f"{options.golden} has no recorded outputs")
    if is_record and not bundles.exists() and "train" not in chosen:
        chosen.append("train")
    with tempfile.TemporaryDirectory() as folder:
        checkout = Checkout(options.checkout.resolve(), Path(folder).resolve())
        prepare(checkout, options.data)
        num_failed = 0
        for name in (name for name in SECTIONS if name in chosen):
            if name != "train" and not (checkout.work / "default").exists():
                shutil.copytree(bundles, checkout.work, dirs_exist_ok=True)
            num_failed += not finish(name, checkout, options, is_record=is_record)
    return 1 if num_failed else 0


def finish(name: str, checkout: Checkout, options: argparse.Namespace, *, is_record: bool) -> bool:
    """Run one section and write it, or compare it; return whether it is as recorded."""
    began = time.monotonic()
    # Through JSON, as the recorded outputs went: keys become texts.
    got = json.loads(json.dumps(without_volatile(SECTIONS[name](checkout))))
    seconds = f"({time.monotonic() - began:.0f} s)"
    file = options.golden / f"{name}.json"
    if is_record:
        options.golden.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(got, indent=1, ensure_ascii=False))
        if name == "train":
            shutil.rmtree(options.golden / "bundles", ignore_errors=True)
            shutil.copytree(checkout.work / "trained", options.golden / "bundles")
        print(f"{name}: recorded {seconds}", flush=True)
        return True
    expected = renamed(json.loads(file.read_text()), name)
    found = list(differences(expected, got, name, options.tolerance))
    print(f"{name}: {f'{len(found)} differences' if found else 'equal'} {seconds}", flush=True)
    # One difference makes others in its wake: the first two of each case are enough.
    cases = groupby(found, key=lambda line: line.split(":")[0].split("/")[:3])
    shown = [line for _, lines in cases for line in islice(lines, 2)]
    for line in shown[:DIFFERENCES_SHOWN]:
        print(f"  {line}")
    return not found


if __name__ == "__main__":
    sys.exit(main())
