"""The main path in processes that behave as on Windows (:mod:`like_windows.sitecustomize`)."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest
from tests.systems import end

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(sys.platform != "linux", reason="stands in for Windows on Linux alone"),
]

Run = Callable[..., str]

_LIKE_WINDOWS = Path(__file__).parent / "like_windows"
_TINY = ("--recipe", "classic", "--hidden-size", "16", "--embedding-size", "8", "--device", "cpu")
_MODEL = "mödel & co #1 %20"

# Imports every module of LoreLM; those in a list need what only some installations have.
_IMPORT_ALL = """
import importlib, pkgutil, lorelm
for module in pkgutil.walk_packages(lorelm.__path__, "lorelm."):
    if not module.name.startswith("lorelm.history.migrations."):  # Alembic runs those
        if module.name != "lorelm.__main__":
            importlib.import_module(module.name)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tales_text: str) -> Path:
    folder = tmp_path_factory.mktemp("like windows") / "Größe – & #1 %20 小説"
    folder.mkdir()
    (folder / "tales é.txt").write_bytes(tales_text.replace("\n", "\r\n").encode())
    return folder


@pytest.fixture(scope="module")
def tales_text() -> str:
    from tests.conftest import tale_documents

    return "\n".join(text.replace("\n", " ") for text in tale_documents())


@pytest.fixture(scope="module")
def environment(folder: Path) -> Iterator[dict[str, str]]:
    """The environment of what these tests start, none of which moves or deletes an open file."""
    refused = folder / "refusals.txt"
    refused.write_text("", encoding="utf-8")
    yield os.environ | {
        "PYTHONPATH": str(_LIKE_WINDOWS),
        "LORELM_DATA": str(folder / "my data"),
        "REFUSALS": str(refused),
    }
    lines = refused.read_text(encoding="utf-8").splitlines()
    ours = [line for line in lines if line.startswith(str(folder.resolve()))]
    assert [line for line in ours if "/large/ids." not in line] == []


@pytest.fixture(scope="module")
def run(folder: Path, environment: dict[str, str]) -> Run:
    """Run Python as on Windows; every use of an encoding that is not named is an error."""

    def run(*arguments: str) -> str:
        command = [sys.executable, "-X", "warn_default_encoding", *arguments]
        ended = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        assert "Traceback" not in ended.stderr
        return ended.stdout

    return run


@pytest.fixture(scope="module")
def model(run: Run, folder: Path) -> str:
    """Train a model over an older one."""
    train = ("-m", "lorelm", "train", "tales é.txt", "--out", _MODEL, *_TINY, "--init", "none")
    run(*train, "--epochs", "1")
    run(*train, "--epochs", "2", "--ngram")
    return _MODEL


def test_every_module_is_imported(run: Run) -> None:
    run("-c", _IMPORT_ALL)


@pytest.mark.slow
def test_a_model_is_used(run: Run, model: str, folder: Path) -> None:
    lorelm = ("-m", "lorelm")
    assert json.loads(run(*lorelm, "inspect", "tales é.txt", "--json", "--no-estimate"))
    assert "The fox" in run(*lorelm, "generate", model, "The fox", "--seed", "1")
    assert "perplexity" in run(*lorelm, "evaluate", model, "tales é.txt")
    run(*lorelm, "pack", model, "--out", "packed é.lorelm")
    run(*lorelm, "unpack", "packed é.lorelm", "--out", "unpacked")
    run(*lorelm, "unpack", "packed é.lorelm", "--out", "unpacked")  # over the older one
    run(*lorelm, "export", model, "--web", "site")
    assert model in run(*lorelm, "runs")
    run(*lorelm, "keys", "add", "bob", "--file", "keys.json")
    assert str(folder / "my data") in run(*lorelm, "doctor")
    run(*lorelm, "runs", "remove", "unpacked", "--yes")
    assert not (folder / "unpacked").exists()


# Every text is larger than memory, so that its ids are in a file of the model's folder.
_ON_A_LARGE_CORPUS = """
import sys
from lorelm.cli.main import main
from lorelm.corpus import text_files

text_files.LARGE_FILE_BYTES = 1_000
main()
"""


@pytest.mark.slow
def test_a_corpus_larger_than_memory_leaves_no_ids(run: Run, folder: Path) -> None:
    run("-c", _ON_A_LARGE_CORPUS, "train", "tales é.txt", "--out", "large", *_TINY, "--epochs", "1")
    assert (folder / "large" / "manifest.json").exists()
    assert not [*(folder / "large").glob("ids.*")]
    refused = (folder / "refusals.txt").read_text(encoding="utf-8")
    assert set(re.findall(r"large/(\w+)", refused)) == {"ids"}  # the folder could not be renamed


@pytest.fixture(scope="module")
def start(folder: Path, environment: dict[str, str]) -> Callable[..., Any]:
    """Start a server of LoreLM; yield the address that it prints. It must end well."""

    @contextmanager
    def start(*arguments: str, says: str) -> Iterator[str]:
        with subprocess.Popen(
            [sys.executable, "-m", "lorelm", *arguments, "--port", "0"],
            cwd=folder,
            env=environment,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        ) as server:
            assert server.stderr
            while (
                found := re.search(rf"{says} (http\S+)", line := server.stderr.readline())
            ) is None:
                assert line, "it did not start"
            yield found[1]
            end(server)
            assert "Traceback" not in server.stderr.read()

    return start


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_answers_and_keeps_a_history(
    workers: str, run: Run, start: Callable[..., Any], model: str
) -> None:
    history = f"sqlite:///history {workers}.db"
    options = ("--workers", workers, "--history", history)
    with start("serve", model, *options, says="LoreLM serves") as url:
        body = json.dumps({"prompt": "The fox", "max_len": 5}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{url}api/generate", body, headers)
        with urllib.request.urlopen(request) as response:
            assert json.load(response)["samples"]
        with urllib.request.urlopen(f"{url}static/write.js") as response:
            assert response.headers.get_content_type() == "text/javascript"
    assert "The fox" in run("-m", "lorelm", "history", "list", "--history", history)


@pytest.mark.slow
def test_the_studio_keeps_reads_renames_and_deletes_a_text(
    start: Callable[..., Any], folder: Path, tales_text: str
) -> None:
    texts = folder / "my data" / "studio" / "texts"
    with start("studio", "--no-browser", says="Open") as link:
        open_url = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar())).open
        open_url(link).close()
        url = link.partition("enter?")[0]

        def post(path: str, **fields: str) -> None:
            open_url(f"{url}{path}", urllib.parse.urlencode(fields).encode()).close()

        post("texts", title="Größe: CON.tar", pasted=tales_text)
        assert [path.name for path in texts.iterdir()] == ["Größe CON.tar"]
        give_up = time.monotonic() + 60
        while b"180 documents" not in open_url(f"{url}texts/Gr%C3%B6%C3%9Fe%20CON.tar").read():
            assert time.monotonic() < give_up
            time.sleep(0.2)
        post("texts/Gr%C3%B6%C3%9Fe%20CON.tar/rename", title="nul")
        assert [path.name for path in texts.iterdir()] == ["nul_"]
        post("texts/nul_/delete")
        assert not [*texts.iterdir()]
