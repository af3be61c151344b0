"""The server under load, against a tutorial's, in one run; and the engine alone.

    python bench/serving.py [--seconds 5] [--requests 20000] [--history URL]

Two models: the sizes of the classic recipe with random weights, whose biases are those of words by
their rank, so that min-p leaves about as many as in a trained model; and `english`. A request asks
for 40 tokens. The load comes from a second process on this machine (bench/load.py), so the server
does not have both cores for itself. Compare the ratios, and the processor time: the machine is
shared.
"""

import argparse
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lorelm.bundle import EMBEDDED_PATH, Bundle, BundleContents, save_bundle
from lorelm.bundle.manifest import CorpusMetadata, Manifest, TrainingMetadata
from lorelm.corpus.token_keys import document_keys
from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.corpus.vocabulary import EOS_ID, Vocabulary
from lorelm.generation.engine.engine import Engine
from lorelm.generation.handle import RequestHandle
from lorelm.generation.language_model import LanguageModel
from lorelm.generation.settings import GenerationSettings
from lorelm.model.config import ModelConfig
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.ngrams.fingerprints import FingerprintIndex
from lorelm.ngrams.kneser_ney import KneserNey
from lorelm.runtime.onnx_runtime import OnnxRuntime
from lorelm.runtime.step_graph import build_step_graph

import numpy as np
import psutil
import torch

HERE = Path(__file__).parent
CONFIG = ModelConfig(vocabulary_size=911, embedding_size=512, hidden_size=512, num_layers=2)
WORDS = ["<unk>", "<eos>", *(f"w{i}" for i in range(2, CONFIG.vocabulary_size))]
NUM_TOKENS = 40
NUM_PROMPTS = 200
LONG_PROMPT_TOKENS = 400
MB = 1e6


def random_weights() -> dict[str, np.ndarray]:
    torch.manual_seed(0)
    model = LSTMLanguageModel(CONFIG)
    weights = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
    # Zipf and Mandelbrot: without it, all words are about equally likely, and min-p keeps all.
    weights["fc.bias"] = -np.log(np.arange(CONFIG.vocabulary_size) + 2.7).astype(np.float32)
    weights["fc.bias"][EOS_ID] = -12  # samples have their 40 tokens
    return weights


def write_bundle(path: Path) -> None:
    """A bundle with all that one has that was trained on 20,000 tokens."""
    weights, random = random_weights(), np.random.default_rng(0)
    tokenizer = make_tokenizer("classic")
    documents = [[WORDS[i] for i in random.integers(2, len(WORDS), 10)] for _ in range(2000)]
    manifest = Manifest(
        tokenizer=tokenizer.style,
        model=CONFIG,
        recipe={},
        corpus=CorpusMetadata(
            source="random words",
            fingerprint="",
            **{
                f"{part}_{what}": 1
                for part in ("train", "valid", "test")
                for what in ("documents", "tokens")
            },
        ),
        training=TrainingMetadata(best_epoch=1, epochs=1, seconds=1, device="cpu"),
    )
    contents = BundleContents(
        manifest=manifest,
        vocabulary=Vocabulary(WORDS),
        graphs={"int8": build_step_graph(weights, CONFIG, "int8")},
        spelling=KneserNey.fit(np.array([1, 2, 3, 1]), order=1, vocabulary_size=200),
        copies=FingerprintIndex.build(document_keys(documents, tokenizer)),
    )
    save_bundle(path, contents)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextlib.contextmanager
def running(command: list[str], port: int, **environment: str) -> Iterator[psutil.Process]:
    """A server of its own process, once it answers; ended at the end."""
    server = subprocess.Popen(
        command,
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        give_up = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < give_up, command
                assert server.poll() is None, command
                time.sleep(0.1)
        yield psutil.Process(server.pid)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)


def load(port: int, *arguments: str, bodies: list[str] | None = None) -> dict[str, Any]:
    """What the clients of a second process see."""
    command = [sys.executable, str(HERE / "load.py"), f"http://127.0.0.1:{port}/api/generate"]
    ended = subprocess.run(
        [*command, *arguments, "--", *(bodies or prompts())],
        check=True,
        capture_output=True,
        text=True,
    )
    figures: dict[str, Any] = json.loads(ended.stdout)
    return figures


def prompts(words: list[str] = WORDS[2:], **more: object) -> list[str]:
    """Requests with prompts of one to seven of these words."""
    random = np.random.default_rng(1)
    bodies = []
    for number in range(NUM_PROMPTS):
        prompt = random.choice(words, 1 + number % 7)
        body = {"prompt": " ".join(prompt), "max_len": NUM_TOKENS}
        bodies.append(json.dumps(body | more)[:-1] + ', "seed": {seed}}')
    return bodies


SCORED = {"num_alternatives": 3}
"""What a stream sends unless it asks for something else: each token with its alternatives."""

LOADS: tuple[tuple[int, str, dict[str, Any]], ...] = (
    *((1, "clients", {}), (8, "clients", {}), (64, "clients", {})),
    *((64, "clients, scored", SCORED), (256, "clients, scored", SCORED)),
    *((64, "streams", {"stream": True}), (256, "streams", {"stream": True})),
)

COLUMNS = (
    *(("tokens/s", 9), ("times", 7), ("CPU", 7), ("median ms", 9), ("p99 ms", 9)),
    *(("first ms", 9), ("its p99", 9), ("requests", 8), ("errors", 6)),
)


def show(what: str, figures: dict[str, Any], baseline: dict[str, Any] | None = None) -> None:
    """Print a line: `times` the baseline, and processor seconds per 1,000 tokens."""
    ratio = figures["tokens_per_second"] / baseline["tokens_per_second"] if baseline else 1.0
    milliseconds = (
        *("median_seconds", "p99_seconds"),
        *("median_seconds_to_first_token", "p99_seconds_to_first_token"),
    )
    cells = (
        f"{figures['tokens_per_second']:9,.0f}",
        f"{ratio:7.1f}",
        f"{figures['processor_seconds_per_1000_tokens']:7.3f}",
        *(f"{1000 * figures[name]:9.1f}" for name in milliseconds),
        f"{figures['requests']:8,}",
        f"{figures['errors']:6}",
    )
    print(f"{what:34}", *cells, flush=True)


def serve_command(
    bundle: Path, port: int, *, history: str | None = None, workers: int = 1
) -> list[str]:
    """The command that serves the bundle; it keeps a history if one is named."""
    return [
        *(sys.executable, "-m", "lorelm", "serve", str(bundle), "--port", str(port)),
        *("--workers", str(workers)),
        *(("--history", history) if history else ("--no-history",)),
    ]


def measured_load(
    server: psutil.Process, port: int, *arguments: str, bodies: list[str] | None = None
) -> dict[str, Any]:
    """What the clients see, and what it takes of the processor."""
    before = processor_seconds(server)
    figures = load(port, *arguments, bodies=bodies)
    num_tokens = figures["tokens_per_second"] * figures["seconds"]
    spent = processor_seconds(server) - before
    per_1000 = 1000 / max(num_tokens, 1)
    return figures | {
        "processor_seconds_per_1000_tokens": per_1000 * spent,
        "load_seconds_per_1000_tokens": per_1000 * figures["processor_seconds"],
    }


def processor_seconds(server: psutil.Process) -> float:
    times = [each.cpu_times() for each in (server, *server.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def measure_baseline(seconds: float) -> dict[str, Any]:
    port = free_port()
    with running([sys.executable, str(HERE / "tutorial_server.py"), str(port)], port) as server:
        load(port, "--requests", "3")
        return measured_load(server, port, "--seconds", str(seconds))


def measure_server(
    what: str,
    bundle: Path,
    baseline: dict[str, Any],
    seconds: float,
    *,
    history: str | None = None,
    workers: int = 1,
) -> None:
    port = free_port()
    words = [word for word in Bundle.load(bundle).vocabulary.words if word.isalnum()]
    command = serve_command(bundle, port, history=history, workers=workers)
    with running(command, port) as server:
        load(port, "--seconds", "3", "--clients", "16")  # until all workers are there
        for clients, kind, fields in LOADS:
            options = ["--clients", str(clients), "--seconds", str(seconds)]
            if "stream" in fields:
                options.append("--stream")
            bodies = prompts(words, min_len=NUM_TOKENS, **fields)
            figures = measured_load(server, port, *options, bodies=bodies)
            show(f"{what}, {clients} {kind}", figures, baseline)


def measure_memory(bundle: Path, num_requests: int, history: str) -> None:
    """How much the server grows over many requests, and whether its history has all of them."""
    port = free_port()
    with running(serve_command(bundle, port, history=history), port) as server:
        options = ("--clients", "64", "--seconds", "600")
        load(port, *options, "--requests", "3000")
        before = server.memory_info().rss
        load(port, *options, "--requests", str(num_requests))
        after = server.memory_info().rss
        time.sleep(1)  # the last ones are on their way to the disk
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as metrics:
            kept = re.findall(r"^lorelm_history_\w+ .*$", metrics.read().decode(), re.M)
    print(
        f"memory: {before / MB:.0f} MB after 3,000 requests, {after / MB:.0f} MB after"
        f" {num_requests:,} more: {(after - before) / MB:+.1f} MB; {', '.join(kept)}"
    )


def measure_state_cache(bundle: Path) -> None:
    """The time to the first token of a long prompt that was read before, and that was not."""
    port = free_port()
    random = np.random.default_rng(2)

    def body(length: int) -> str:
        words = " ".join(f"w{i}" for i in random.integers(2, CONFIG.vocabulary_size, length))
        return json.dumps({"prompt": words, "max_len": 1, "num_alternatives": 0})

    with running(serve_command(bundle, port), port):
        load(port, "--requests", "20")
        new = [body(LONG_PROMPT_TOKENS) for _ in range(30)]
        first = load(port, "--requests", "30", bodies=new)["median_seconds"]
        again = load(port, "--requests", "30", bodies=new)["median_seconds"]
    print(
        f"first token after a prompt of {LONG_PROMPT_TOKENS} tokens: {1000 * first:.1f} ms when it"
        f" is new, {1000 * again:.1f} ms when it comes again"
    )


def engine_alone(runtime: OnnxRuntime, num_rows: int, num_requests: int) -> float:
    """Ids a second that the model reads for the engine in this process, 40 tokens a request."""
    nums_rows: list[int] = []
    engine = Engine(
        runtime,
        num_slots=num_rows,
        max_waiting=num_requests,
        on_step=lambda _seconds, num_running: nums_rows.append(num_running),
    )
    random = np.random.default_rng(0)
    model = LanguageModel(runtime, make_tokenizer("classic"), Vocabulary(WORDS))
    for seed in range(num_requests):
        ids = random.integers(2, CONFIG.vocabulary_size, 1 + seed % 7).tolist()
        settings = GenerationSettings(seed=seed, max_len=NUM_TOKENS)
        request = model.request(model.prompts.of_ids(ids), settings)
        engine.submit(RequestHandle([request], cancel=engine.cancel))
    started = time.perf_counter()
    while not engine.is_idle:
        engine.step()
    return sum(nums_rows) / (time.perf_counter() - started)


def runtime_alone(runtime: OnnxRuntime, num_rows: int, num_steps: int) -> float:
    """Ids a second of a batch of the runtime with no scheduling and no sampling."""
    batch, random = runtime.batch(num_rows), np.random.default_rng(0)
    # All sorts, as in the engine: equal ones would read one and the same row of the first
    # layer's table, which is 4 % faster.
    ids = random.integers(2, CONFIG.vocabulary_size, (num_steps, num_rows))
    started = time.perf_counter()
    for ids_B in ids:
        batch.step(ids_B)
    return num_rows * num_steps / (time.perf_counter() - started)


def measure_engine() -> None:
    runtime = OnnxRuntime(build_step_graph(random_weights(), CONFIG, "int8"), CONFIG)
    for rows in (1, 8, 64):
        alone, bare = 0.0, 0.0
        for _ in range(5):  # in turns, and the best of each, since the machine is shared
            bare = max(bare, runtime_alone(runtime, rows, 400))
            alone = max(alone, engine_alone(runtime, rows, 10 * rows))
        print(
            f"engine alone, {rows:2} rows: {alone:9,.0f} ids/s, the bare runtime {bare:9,.0f}:"
            f" {alone / bare:.0%}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5, help="a measurement")
    parser.add_argument("--requests", type=int, default=20_000, help="for the growth of memory")
    parser.add_argument("--history", help="URL of one; by default in a new file")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    measure_engine()
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "classic"
        write_bundle(bundle)
        history = asked.history or f"sqlite:///{folder}/history.db"
        print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
        print(" " * 34, *(f"{name:>{width}}" for name, width in COLUMNS))
        baseline = measure_baseline(asked.seconds)
        show("tutorial, 1 client", baseline, baseline)
        measure_server("classic", bundle, baseline, asked.seconds)
        measure_server("with history", bundle, baseline, asked.seconds, history=history)
        measure_server("two workers", bundle, baseline, asked.seconds, workers=2)
        measure_server("english", EMBEDDED_PATH, baseline, asked.seconds)
        measure_state_cache(bundle)
        if asked.requests:
            measure_memory(bundle, asked.requests, history)


if __name__ == "__main__":
    main()
