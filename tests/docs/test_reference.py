"""The pages of the reference are right: those made from the code, and the format of a bundle."""

import json
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import click
import jsonschema
import numpy as np
import pytest
from docs.reference.command_pages import COMMANDS
from docs.reference.make import made_files
from tests.docs.markdown import ROOT

from lorelm.bundle import EMBEDDED_PATH, Bundle
from lorelm.cli.main import lorelm
from lorelm.corpus.vocabulary import EOS_ID
from lorelm.runtime.base import State

REFERENCE = ROOT / "docs" / "reference"


@pytest.mark.skipif(
    version("click").startswith("8.4."), reason="the pages are of click 8.5, which writes [COMMAND]"
)
def test_every_page_is_what_the_code_says() -> None:
    """To write them: python docs/reference/make.py."""
    for name, text_of in made_files().items():
        assert (REFERENCE / name).read_text(encoding="utf-8") == text_of(), name


def test_every_variable_that_the_code_reads_has_an_entry() -> None:
    """But for that of the workers' folder, which a server sets itself."""
    files = (ROOT / "src" / "lorelm").rglob("*.py")
    read = {name for file in files for name in re.findall(r'"(LORELM_[A-Z_]+)"', file.read_text())}
    page = (REFERENCE / "settings.md").read_text(encoding="utf-8")
    assert len(read) > 5
    assert {name for name in read if f"| `{name}` |" not in page} == {"LORELM_WORKERS_FOLDER"}


def test_the_page_of_the_http_api_has_codes_streams_and_links() -> None:
    page = (REFERENCE / "http-api.md").read_text(encoding="utf-8")
    for code in ("http.unauthorized", "quota.tokens", "setting.blend", "engine.overloaded"):
        assert f"| `{code}` |" in page
    for text in ("| `done` |", "## POST /api/links", "Lorelm-Page: 1", "X-RateLimit-Reset"):
        assert text in page


def test_the_page_of_commands_has_every_command() -> None:
    shown = {command.split()[0] for command in COMMANDS}
    assert shown == set(lorelm.list_commands(click.Context(lorelm)))


@pytest.mark.parametrize("kind", ["embedded", "trained"])
def test_every_manifest_fits_the_schema(kind: str, tiny_bundle: Path) -> None:
    folder = EMBEDDED_PATH if kind == "embedded" else tiny_bundle
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    schema = json.loads((REFERENCE / "manifest.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(manifest, schema, cls=jsonschema.Draft202012Validator)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(manifest | {"tokenizer": 1}, schema)


@pytest.mark.system
def test_the_reader_in_javascript_finds_the_probabilities(tiny_bundle: Path) -> None:
    bundle = Bundle.load(tiny_bundle)
    words = bundle.vocabulary.words
    prompt = [2, 5, 3]
    lines = read_in_javascript(tiny_bundle, *(words[id_] for id_ in prompt)).splitlines()

    runtime = bundle.runtime("float32")
    state = State.zeros(runtime.config, 1)
    for id_ in (EOS_ID, *prompt):
        logits_1V, state = runtime.step(np.array([id_]), state)
    probabilities = np.exp(logits_1V[0] - np.logaddexp.reduce(logits_1V[0]))
    shown = [line.split(" ", 1) for line in lines]
    assert [json.loads(word) for _, word in shown] == [
        words[id_] for id_ in np.argsort(-probabilities)[:5]
    ]
    found = [float(probability) for probability, _ in shown]
    assert np.allclose(found, np.sort(probabilities)[::-1][:5], atol=1e-4)


@pytest.mark.system
def test_the_reader_in_javascript_reads_the_embedded_model() -> None:
    page = (REFERENCE / "bundle-format.md").read_text(encoding="utf-8")
    assert read_in_javascript(EMBEDDED_PATH, "Good", "night") in page


@pytest.mark.system
def test_the_reader_in_javascript_refuses_a_damaged_file(tiny_bundle: Path, tmp_path: Path) -> None:
    for file in tiny_bundle.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "vocabulary.json").write_text("[]")
    with pytest.raises(subprocess.CalledProcessError) as caught:
        read_in_javascript(tmp_path, "Good")
    assert "vocabulary.json is damaged" in caught.value.stderr


def read_in_javascript(bundle: Path, *prompt: str) -> str:
    """Return what the reader prints of a bundle."""
    command = ["node", str(REFERENCE / "read_bundle.mjs"), str(bundle), *prompt]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout
