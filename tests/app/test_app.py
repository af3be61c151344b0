"""`python app.py`, as it is typed."""

import html
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.app.conftest import APP, NewFolder, Running
from tests.bundle.importing.foreign import UNK, WORDS, ForeignModel, greedy, logits_of

from lorelm.bundle import Bundle
from lorelm.bundle.importing.importer import import_model

pytestmark = pytest.mark.system

NAMES = ("lotr_lstm_lm.pt", "lotr-lstm_lm.pt", "best-val-lstm_lm.pt")

StartApp = Callable[..., Running]


def ask(url: str, **body: object) -> Any:
    """What the application answers: a model's facts, or a text where a body is given."""
    path = "api/generate" if body else "api/model"
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(url + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def page(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as response:
        text: str = response.read().decode()
    return html.unescape(text)


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "app.py", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | environment,
    )


@pytest.mark.parametrize("prompt", ["the fox ran to", "w3 W5, a dragon"])
def test_page_api_and_script_write_the_words_of_a_plain_loop(
    prompt: str, folder: Path, start_app: StartApp, tmp_path: Path
) -> None:
    known = {word: id_ for id_, word in enumerate(WORDS)}
    ids = [known.get(word, UNK) for word in re.findall(r"[a-z0-9']+", prompt.lower())]
    expected = [WORDS[id_] for id_ in greedy(ForeignModel(layers=1), ids, max_len=20)]
    assert len(set(expected)) > 3

    asked = {"prompt": prompt, "temperature": 0, "max_len": 20}
    [sample] = ask(start_app(folder, "--port", "0").url, **asked)["samples"]
    assert sample["text"].split() == expected

    code = (
        "import sys; from model_utils import generate_text, load_model\n"
        "print(generate_text(sys.argv[1], *load_model(), max_len=20, temperature=0))"
    )
    script = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, prompt],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert script.stdout.split()[len(ids) :] == expected

    bundle = tmp_path / "bundle"
    lorelm = [sys.executable, "-m", "lorelm"]
    files = [folder / "lotr_lstm_lm.pt", "--vocab", folder / "vocab.pkl"]
    subprocess.run([*lorelm, "import", *files, "--out", bundle], check=True, capture_output=True)
    options = ["--temperature", "0", "--max-len", "20"]
    generated = subprocess.run(
        [*lorelm, "generate", bundle, prompt, *options], check=True, capture_output=True, text=True
    )
    assert generated.stdout.split()[-len(expected) :] == expected


def test_a_vocabulary_without_unk_reads_as_the_scripts_do(
    new_folder: NewFolder, start_app: StartApp
) -> None:
    words = [f"word{place}" if word == "<unk>" else word for place, word in enumerate(WORDS)]
    folder = new_folder("lotr_lstm_lm.pt", words=words)
    code = (
        "from model_utils import generate_text, load_model\n"
        "print(generate_text('fox dragon ran', *load_model(), max_len=20, temperature=0))"
    )
    script = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    app = start_app(folder, "--port", "0")
    [sample] = ask(app.url, prompt="fox dragon ran", temperature=0, max_len=20)["samples"]
    assert script.stdout.split() == ["fox", "dragon", "ran", *sample["text"].split()]
    assert "read as its first, 'the'" in page(app.url)


def test_the_logits_are_those_of_the_checkpoint(folder: Path, model_utils: Any) -> None:
    ids = torch.randint(len(WORDS), (40,), generator=torch.Generator().manual_seed(0)).tolist()
    model, vocab, device = model_utils.load_model()
    assert vocab.get_itos() == WORDS
    with torch.no_grad():
        src = torch.tensor([ids], device=device)
        logits_BTV, _ = model(src, model.init_hidden(1, device))
    expected_TV = logits_of(ForeignModel(layers=1), ids)
    torch.testing.assert_close(logits_BTV[0].cpu(), expected_TV, atol=1e-4, rtol=0)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_first_existing_checkpoint_is_served(
    count: int, new_folder: NewFolder, start_app: StartApp
) -> None:
    present = NAMES[-count:]
    folder = new_folder(*present, words=WORDS)
    facts = ask(start_app(folder, "--port", "0").url)
    assert facts["model"] == Path(present[0]).stem
    assert facts["network"]["num_layers"] == 1  # the others have more


def test_without_a_vocabulary_it_serves_placeholders_and_says_so(
    new_folder: NewFolder, start_app: StartApp
) -> None:
    app = start_app(new_folder("lotr_lstm_lm.pt"), "--port", "0")
    reply = ask(app.url, prompt="token_3", max_len=5, temperature=0)
    assert reply["unknown_words"] == []
    assert re.fullmatch(r"( token_\d+){5}", reply["samples"][0]["text"])
    for said in (page(app.url), app.stop()):
        assert "No vocabulary was given" in said
        assert "vocab.pkl" in said


@pytest.mark.parametrize("words", [WORDS[:25], [*WORDS, "more", "words"]], ids=["short", "long"])
def test_a_vocabulary_of_another_size_is_fitted(
    words: list[str], new_folder: NewFolder, start_app: StartApp
) -> None:
    app = start_app(new_folder("lotr_lstm_lm.pt", words=words), "--port", "0")
    assert ask(app.url)["network"]["vocabulary_size"] == 30
    assert ask(app.url, prompt="the fox", max_len=5)["samples"][0]["text"]
    notice = f"The vocabulary has {len(words)} words and the model 30"
    assert notice in page(app.url)
    assert notice in app.stop()


def test_without_a_checkpoint_it_serves_the_embedded_model_and_says_so(
    new_folder: NewFolder, start_app: StartApp
) -> None:
    app = start_app(new_folder(), "--port", "0")
    assert ask(app.url)["model"] == "english"
    for said in (page(app.url), app.stop()):
        assert "This is not your model but the one that LoreLM comes with" in said
        assert all(name in said for name in NAMES)


def test_a_checkpoint_may_be_required(new_folder: NewFolder) -> None:
    ended = run(new_folder(), "--require-checkpoint")
    assert ended.returncode == 2
    assert ended.stderr.startswith("lorelm: there is no lotr_lstm_lm.pt in ")
    assert all(name in ended.stderr for name in NAMES)
    assert ended.stderr.count("\n") == 1


def test_a_file_that_is_no_checkpoint_is_refused_in_one_sentence(new_folder: NewFolder) -> None:
    folder = new_folder()
    (folder / NAMES[0]).write_bytes(b"cos\nsystem\n(S'touch hacked'\ntR.")
    ended = run(folder, "--port", "0")
    assert ended.returncode == 2
    assert "os.system" in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not (folder / "hacked").exists()


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        ((), {"PORT": "70000"}, "70000"),
        (("--port", "70001"), {"PORT": "0"}, "70001"),
        (("--proxy-hops", "-1"), {}, "proxy_hops: must be a whole number from 0 up"),
    ],
)
def test_options_and_environment_variables_are_read(
    arguments: tuple[str, ...], environment: dict[str, str], said: str, new_folder: NewFolder
) -> None:
    ended = run(new_folder(), *arguments, **environment)
    assert ended.returncode == 2
    assert said in ended.stderr


def test_proxy_headers_are_trusted_with_proxy_hops(
    new_folder: NewFolder, start_app: StartApp
) -> None:
    folder = new_folder()
    believing, other = (
        start_app(folder, "--port=0", "--proxy-hops=1"),
        start_app(folder, "--port=0"),
    )
    for app, is_believed in ((believing, True), (other, False)):
        headers = {"X-Forwarded-Host": "lore.example", "X-Forwarded-Proto": "https"}
        request = urllib.request.Request(app.url + "docs", headers=headers)
        with urllib.request.urlopen(request) as response:
            assert ("https://lore.example/" in response.read().decode()) == is_believed


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such signals")
def test_the_temporary_copy_is_deleted_however_the_process_ends(
    folder: Path, start_app: StartApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = tmp_path / "temporary"
    copies.mkdir()
    monkeypatch.setenv("TMPDIR", str(copies))
    running = start_app(folder)
    assert len(list(copies.glob("lorelm-app-*"))) == 1
    running.process.send_signal(signal.SIGHUP)  # its terminal was closed
    running.process.communicate(timeout=20)
    assert list(copies.glob("lorelm-app-*")) == []
    starting = subprocess.Popen(
        [sys.executable, "app.py", "--port", "0"], cwd=folder, stderr=subprocess.PIPE
    )
    give_up = time.monotonic() + 60
    while not list(copies.glob("lorelm-app-*")):
        assert time.monotonic() < give_up
    starting.terminate()
    starting.communicate(timeout=20)
    assert list(copies.glob("lorelm-app-*")) == []


def test_the_tokenizer_can_be_given(folder: Path, start_app: StartApp) -> None:
    app = start_app(folder, "--port", "0", "--tokenizer", "basic_english")
    assert ask(app.url)["tokenizer"] == "basic_english"


def test_requirements_are_pinned_and_sufficient() -> None:
    lines = (APP / "requirements.txt").read_text(encoding="utf-8").splitlines()
    required = [line for line in lines if not line.startswith("#")]
    assert required[:2] == ["-r ../requirements.txt", ".."]
    unpinned = [line for line in required[2:] if not re.fullmatch(r"[\w.-]+==[\w.]+", line)]
    assert unpinned == ["torch>=2.9,<3"]


def test_the_served_bundle_equals_that_of_lorelm_import(
    folder: Path, start_app: StartApp, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    import_model(folder / NAMES[0], folder / "vocab.pkl").save(bundle)
    served = ask(start_app(folder, "--port", "0").url)
    assert served["fingerprint"] == Bundle.load(bundle).fingerprint
