import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from playwright.sync_api import Browser, sync_playwright

from lorelm.corpus.documents import Documents
from lorelm.training.recipe import Recipe
from lorelm.training.train import TrainingOptions, train

settings.register_profile("lorelm", deadline=None, max_examples=100)
settings.load_profile("lorelm")

# Two threads fight over the small tensors of these tests, above all on a machine that is busy;
# the commands that tests start have it from the environment.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The real corpora: LORELM_TEST_DATA, else ../shared/data beside the project."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("LORELM_TEST_DATA") or beside)


@pytest.fixture(scope="session")
def corpus_file(data_dir: Path) -> Callable[[str], Path]:
    """The path of a real corpus by its name; skips the test where the file is absent."""

    def find(name: str) -> Path:
        path = data_dir / name
        if not path.is_file():
            pytest.skip(f"{path} is absent; LORELM_TEST_DATA names the folder of real corpora")
        return path

    return find


def tale_documents() -> list[str]:
    """A small corpus of our own: 180 short sentences with a grammar that can be learned."""
    animals = ["fox", "hare", "owl", "toad", "wren", "mole"]
    places = ["mill", "river", "old bridge", "hill", "barn"]
    tales = []
    for i, animal in enumerate(animals):
        for j, place in enumerate(places):
            other = animals[(i + j + 1) % len(animals)]
            tales += [
                f"The {animal} sat by the {place}.",
                f'"Who goes there?" said the {animal} to the {other}.',
                f"Then the {other}, who was tired, slept by the {place}.",
                f"The {animal} and the {other} went home\nover the {place}, singing.",
                f"No {animal} ever saw the {place} at night!",
                f"So the {other} asked: where is the {place}, {animal}?",
            ]
    return tales


@pytest.fixture(scope="session")
def tales() -> Documents:
    return Documents(texts=tale_documents(), source="tales.txt")


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    return Recipe.load(
        "classic",
        tokenizer="words",
        embedding_size=12,
        hidden_size=32,
        num_layers=2,
        batch_size=4,
        bptt=16,
        epochs=10,
        dropout=0.1,
        min_frequency=2,
        learning_rate=0.02,
    )


@pytest.fixture(scope="session")
def tiny_bundle(
    tales: Documents, tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A bundle of a small model, really trained; tests that change it work on a copy."""
    path = tmp_path_factory.mktemp("models") / "tales"
    train(tales, tiny_recipe, out=path, options=TrainingOptions(device="cpu", with_ngram=True))
    return path


@pytest.fixture
def older_bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    """The same bundle as a version wrote it that knew nothing of counting and copies."""
    path = Path(shutil.copytree(tiny_bundle, tmp_path / "older"))
    manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
    for name in ("spelling.npz", "copies.npz", "ngram.npz"):
        (path / name).unlink()
        del manifest["files"][name]
    del manifest["ngram"], manifest["cache"], manifest["figures"], manifest["corpus"]["files"]
    (path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def start_server() -> Iterator[Callable[..., str]]:
    """Starts `lorelm serve` as a person would, on a free port; returns its address.

    All of them are ended with SIGTERM at the end, and must end well.
    """
    servers: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> str:
        command = [sys.executable, "-m", "lorelm", "serve", *arguments, "--port", "0"]
        server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert server.stderr
        line = server.stderr.readline()
        address = re.search(r"http://\S+/", line)
        if address is None:
            pytest.fail(line + server.communicate()[1])
        servers.append(server)
        return address.group()

    yield start
    for server in servers:
        server.terminate()
        assert server.wait(timeout=20) == 0
        assert server.stderr
        server.stderr.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, driven by Playwright; skips the test where there is none."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no browser: apt-get install chromium (.ci/run does)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()
