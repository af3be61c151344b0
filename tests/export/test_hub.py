"""Models on the Hub, by its own library against a server that speaks what it sends."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.export.hub_server import TOKEN, HubServer

from lorelm.bundle import Bundle
from lorelm.bundle.files import open_files
from lorelm.bundle.hub import fetch, is_hub_address
from lorelm.errors import BundleError
from lorelm.export.hub import card

pytestmark = pytest.mark.system

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server


@pytest.fixture
def run(hub: HubServer, tmp_path: Path) -> Run:
    """Run lorelm against the server, with a cache of its own; its library reads variables once."""

    def run_lorelm(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        environment = os.environ | {
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": TOKEN,
            "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_DISABLE_XET": "1",  # which the server does not speak
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        }
        return subprocess.run(
            [sys.executable, "-m", "lorelm", *arguments],
            env=environment | variables,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    return run_lorelm


def written(run: Run, bundle: str, **variables: str) -> str:
    ended = run("generate", bundle, "The", "--seed", "3", **variables)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_model_goes_to_the_hub_and_comes_back(
    hub: HubServer, run: Run, tiny_bundle: Path
) -> None:
    pushed = run("push", str(tiny_bundle), "frodo/tales")
    assert pushed.returncode == 0, pushed.stderr
    repo = hub.repos["frodo/tales"]
    assert repo.is_private
    assert f"hf://frodo/tales@{repo.head}" in pushed.stdout
    assert "lorelm serve hf://frodo/tales" in repo.commits[repo.head]["README.md"].decode()
    assert written(run, "hf://frodo/tales") == written(run, str(tiny_bundle))


def test_a_revision_stays_what_it_was(
    hub: HubServer, run: Run, tiny_bundle: Path, scene_bundle: Path
) -> None:
    run("push", str(tiny_bundle), "frodo/tales", "--public")
    first = hub.repos["frodo/tales"].head
    run("push", str(scene_bundle), "frodo/tales")
    assert not hub.repos["frodo/tales"].is_private
    assert written(run, f"hf://frodo/tales@{first}") == written(run, str(tiny_bundle))
    assert written(run, "hf://frodo/tales") == written(run, str(scene_bundle))
    ended = run("generate", "hf://frodo/tales@elsewhere", "The")
    assert ended.returncode == 2
    assert "no revision elsewhere" in ended.stderr


def test_what_was_downloaded_is_there_without_the_network(
    hub: HubServer, run: Run, tiny_bundle: Path
) -> None:
    run("push", str(tiny_bundle), "frodo/tales")
    text = written(run, "hf://frodo/tales")
    assert written(run, "hf://frodo/tales", HF_HUB_OFFLINE="1") == text
    hub.is_down = True
    assert written(run, "hf://frodo/tales") == text
    ended = run("generate", "hf://frodo/other", "The", HF_HUB_OFFLINE="1")
    assert ended.returncode == 2
    assert "was not downloaded before" in ended.stderr


def test_a_hub_that_cannot_be_reached_is_tried_once(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    ended = run("generate", "hf://frodo/tales", "The", HF_ENDPOINT=f"http://127.0.0.1:{port}")
    assert ended.returncode == 2
    [sentence] = ended.stderr.splitlines()
    assert sentence.startswith("lorelm: hf://frodo/tales was not downloaded before")


def test_only_files_of_a_model_are_fetched(
    hub: HubServer, run: Run, tiny_bundle: Path, tmp_path: Path
) -> None:
    run("push", str(tiny_bundle), "frodo/tales")
    repo = hub.repos["frodo/tales"]
    evil = {"pytorch_model.bin": b"pickle", "run.py": b"import os", "sub/manifest.json": b"{}"}
    repo.commit(repo.commits[repo.head] | evil)
    written(run, "hf://frodo/tales")
    fetched = {path.name for path in (tmp_path / "hf").rglob("snapshots/*/*")}
    assert fetched == {path.name for path in tiny_bundle.iterdir()}
    assert not [request for request in hub.requests if request.endswith((".py", ".bin"))]


def test_a_file_that_was_changed_on_the_hub_is_refused(
    hub: HubServer, run: Run, tiny_bundle: Path
) -> None:
    run("push", str(tiny_bundle), "frodo/tales")
    repo = hub.repos["frodo/tales"]
    words = json.loads(repo.commits[repo.head]["vocabulary.json"])
    changed = json.dumps(words).encode() + b" "
    repo.commit(repo.commits[repo.head] | {"vocabulary.json": changed})
    ended = run("generate", "hf://frodo/tales", "The")
    assert ended.returncode == 2
    assert "SHA-256 differs" in ended.stderr


def test_a_card_that_people_wrote_stays(hub: HubServer, run: Run, tiny_bundle: Path) -> None:
    run("push", str(tiny_bundle), "frodo/tales")
    repo = hub.repos["frodo/tales"]
    repo.commit(repo.commits[repo.head] | {"README.md": b"Mine."})
    ended = run("push", str(tiny_bundle), "frodo/tales", "--serving-only", "--no-fingerprints")
    assert ended.returncode == 0, ended.stderr
    files = repo.commits[repo.head]
    assert files["README.md"] == b"Mine."
    assert {"weights.safetensors", "copies.npz"}.isdisjoint(files)
    assert written(run, "hf://frodo/tales") == written(run, str(tiny_bundle))


@pytest.mark.parametrize(
    ("address", "token", "sentence"),
    [
        ("hf://frodo/nothing", TOKEN, "there is no hf://frodo/nothing"),
        ("hf://frodo/secret", "hf_wrong", "or it is private"),
        ("hf://frodo/other", TOKEN, "is no model of LoreLM"),
        ("hf://../..", TOKEN, "cannot be downloaded"),
    ],
)
def test_what_cannot_be_fetched_is_explained(
    hub: HubServer, run: Run, address: str, token: str, sentence: str
) -> None:
    hub.new_repo("frodo/other", is_private=False)
    hub.new_repo("frodo/secret", is_private=True)
    ended = run("generate", address, "The", HF_TOKEN=token)
    assert ended.returncode == 2
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr


def test_pushing_without_a_right_is_explained(hub: HubServer, run: Run, tiny_bundle: Path) -> None:
    ended = run("push", str(tiny_bundle), "frodo/tales", HF_TOKEN="hf_wrong")
    assert ended.returncode == 2
    assert "hf auth login" in ended.stderr
    assert hub.repos == {}


def test_the_copy_of_a_model_is_not_written_to(
    hub: HubServer, run: Run, tiny_bundle: Path, tmp_path: Path
) -> None:
    run("push", str(tiny_bundle), "frodo/tales")
    (tmp_path / "more.txt").write_text("The fox ran.\nThe owl sat.\nThe hen slept.\n" * 9)
    written(run, "hf://frodo/tales")
    [snapshot] = (tmp_path / "hf").rglob("snapshots/*")
    with pytest.raises(PermissionError, match="a copy of a model on the Hub"):
        open_files(snapshot, is_read_only=True).replace({"manifest.json": b"{}"})
    trained = run("train", "more.txt", "--out", "hf://frodo/tales", "--epochs", "1")
    assert trained.returncode == 2
    assert "--out" in trained.stderr


@pytest.mark.parametrize("address", ["hf://frodo", "hf://frodo@main", "hf://a/b/c", "hf://a b/c"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    assert is_hub_address(address)
    assert is_hub_address(Path(address))
    with pytest.raises(BundleError, match="write hf://user/model"):
        fetch(address)


def test_the_card_has_what_was_measured(tiny_bundle: Path) -> None:
    bundle = Bundle.load(tiny_bundle)
    assert bundle.manifest.metrics is not None
    text = card(bundle, "frodo/tales")
    assert text.startswith("---\nlibrary_name: lorelm\n")
    assert f"{bundle.manifest.metrics.perplexity:.1f}" in text
