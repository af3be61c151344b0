"""A model as a notebook saves it, against the bundle that it becomes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.bundle.importing.foreign import UNK, WORDS, ForeignModel, Saved, greedy, logits_of
from tests.errors import raises_code

from lorelm.bundle import Bundle
from lorelm.bundle.importing.importer import ImportedModel, import_model
from lorelm.errors import BundleError, InputError
from lorelm.generation.language_model import LanguageModel
from lorelm.runtime.base import State


@pytest.fixture(params=["tied", "not tied"])
def foreign(request: pytest.FixtureRequest) -> ForeignModel:
    return ForeignModel(tied=request.param == "tied")


@pytest.fixture
def imported(foreign: ForeignModel, saved: Saved) -> ImportedModel:
    return import_model(saved("x.pt", foreign.state_dict()), saved("vocab.pkl", WORDS))


@pytest.fixture
def bundle(imported: ImportedModel, tmp_path: Path) -> Bundle:
    imported.save(tmp_path / "bundle")
    return Bundle.load(tmp_path / "bundle")


def test_logits_are_those_of_the_checkpoint(foreign: ForeignModel, bundle: Bundle) -> None:
    theirs = np.random.default_rng(0).integers(len(WORDS), size=40).tolist()
    expected_TV = logits_of(foreign, theirs).numpy()
    ours = bundle.vocabulary.encode([WORDS[id_] for id_ in theirs])
    places = bundle.vocabulary.encode(WORDS)
    runtime, state = bundle.runtime(), State.zeros(bundle.manifest.model, 1)
    for id_, expected_V in zip(ours, expected_TV, strict=True):
        logits_BV, state = runtime.step(np.array([id_]), state)
        np.testing.assert_allclose(logits_BV[0, places], expected_V, atol=1e-4)


@pytest.mark.parametrize("prompt", ["the", "the fox ran to", "w3 w5 w7", "a dragon ran", "w9 w9"])
def test_a_greedy_text_equals_that_of_a_plain_loop(
    prompt: str, foreign: ForeignModel, bundle: Bundle
) -> None:
    known = {word: id_ for id_, word in enumerate(WORDS)}
    ids = [known.get(word, UNK) for word in prompt.split()]
    expected = greedy(foreign, ids, max_len=30)
    model = LanguageModel.of_bundle(bundle)
    text = model.generate(prompt, temperature=0, max_len=30).text
    assert text.split() == [WORDS[id_] for id_ in expected]
    assert len(set(expected)) > 3


def test_the_manifest_describes_the_import(imported: ImportedModel, bundle: Bundle) -> None:
    manifest = bundle.manifest
    assert manifest.imported is not None
    assert (manifest.imported.checkpoint, manifest.imported.vocabulary) == ("x.pt", "vocab.pkl")
    assert manifest.imported.notices == imported.notices
    assert manifest.imported.never_seen == ()
    assert (manifest.reads_eos_first, manifest.precision) == (False, "float32")
    assert manifest.source == "x.pt"
    assert manifest.recipe is manifest.corpus is manifest.metrics is manifest.training is None
    assert manifest.model == imported.aligned.config
    assert bundle.precisions == ("float32", "int8")
    for name, array in bundle.weights().items():
        np.testing.assert_array_equal(array, imported.aligned.weights[name])
    assert bundle.tokenizer.style == imported.tokenizer.style == "classic"


def test_the_fingerprint_depends_on_how_it_is_read(bundle: Bundle, tmp_path: Path) -> None:
    path = Path(shutil.copytree(bundle.path, tmp_path / "copy"))
    manifest = json.loads((path / "manifest.json").read_text())
    for name, value in (("reads_eos_first", True), ("precision", "int8")):
        (path / "manifest.json").write_text(json.dumps(manifest | {name: value}))
        assert Bundle.load(path).fingerprint != bundle.fingerprint


def test_a_bundle_of_unknown_origin_is_damaged(bundle: Bundle) -> None:
    path = bundle.path / "manifest.json"
    manifest = json.loads(path.read_text()) | {"imported": None}
    path.write_text(json.dumps(manifest))
    with raises_code(BundleError, "bundle.damaged_manifest"):
        Bundle.load(bundle.path)


def test_an_import_replaces_an_older_one_and_no_foreign_directory(
    imported: ImportedModel, bundle: Bundle, tmp_path: Path
) -> None:
    imported.save(bundle.path)
    assert Bundle.load(bundle.path).fingerprint == bundle.fingerprint
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    with raises_code(BundleError, "bundle.foreign_dir"):
        imported.save(tmp_path / "mine")


@pytest.mark.parametrize(
    ("words", "style", "is_guessed"),
    [
        (["<unk>", "<eos>", "the"], "classic", True),
        (["<unk>", "<eos>", "the", "."], "basic_english", True),
        (["<unk>", "<eos>", "the", "don't", "."], "classic", True),
        (["<unk>", "<eos>", "well-known"], "basic_english", True),
        ({"vocab": ["<unk>", "<eos>", "a"], "tokenizer": "basic_english"}, "basic_english", False),
    ],
)
def test_the_tokenizer_is_guessed(
    words: object, style: str, is_guessed: bool, saved: Saved
) -> None:
    checkpoint = saved("x.pt", ForeignModel().state_dict())
    vocabulary = saved("v.pkl", words)
    imported = import_model(checkpoint, vocabulary)
    assert imported.tokenizer.style == style
    assert imported.is_tokenizer_guessed == is_guessed
    for asked in ("classic", "basic_english"):
        imported = import_model(checkpoint, vocabulary, tokenizer=asked)
        assert imported.tokenizer.style == asked
        assert not imported.is_tokenizer_guessed


def test_unreadable_words_are_reported(saved: Saved) -> None:
    words = ["<unk>", "<eos>", "And", "the", "LORD", *(f"w{number}" for number in range(25))]
    imported = import_model(saved("x.pt", ForeignModel().state_dict()), saved("v.pkl", words))
    assert imported.notices[-1].startswith("The tokenizer classic cannot read 2 of the 28 words")
    assert "'And'" in imported.notices[-1]


def test_placeholders_can_be_read(saved: Saved) -> None:
    imported = import_model(saved("x.pt", ForeignModel().state_dict()))
    assert imported.tokenizer.tokenize("token_3 token_29") == ["token_3", "token_29"]


def test_another_tokenizer_is_refused(saved: Saved) -> None:
    with raises_code(InputError, "import.tokenizer"):
        import_model(saved("x.pt", ForeignModel().state_dict()), tokenizer="words")


def test_a_vocabulary_in_the_checkpoint_is_found(saved: Saved) -> None:
    state = ForeignModel().state_dict()
    imported = import_model(saved("x.pt", {"model": state, "vocab": WORDS, "notes": ["a", "b"]}))
    assert set(imported.aligned.vocabulary.words) == set(WORDS)
    assert imported.vocabulary_file == "x.pt"


def test_other_lists_of_words_are_not_taken_for_a_vocabulary(saved: Saved) -> None:
    for value in (ForeignModel(), {"model": ForeignModel().state_dict(), "notes": ["a", "b"]}):
        imported = import_model(saved("x.pt", value))
        assert imported.vocabulary_file is None
        assert "token_0" in imported.aligned.vocabulary


def test_real_files_are_imported(saved: Saved, corpus_file: Callable[[str], Path]) -> None:
    """The settings say how large the model was that the vocabulary belongs to."""
    model = ForeignModel(words=9803, embedding=4, hidden=4)
    path = saved("x.pt", model.state_dict())
    imported = import_model(path, corpus_file("legacy/LSTMData.pkl"))
    assert imported.tokenizer.style == "basic_english"
    assert imported.aligned.vocabulary.words[:6] == ("<unk>", "<eos>", ".", ",", "the", "and")
    assert imported.aligned.config.vocabulary_size == 9803
    assert imported.notices == ()


def test_pytorch_gives_the_same_as_numpy(foreign: ForeignModel) -> None:
    """The reference of these tests is itself right: one step by hand."""
    state = {name: tensor.numpy() for name, tensor in foreign.state_dict().items()}
    inputs, hidden = state["embedding.weight"][3], np.zeros(8)
    for layer in range(2):
        gates = state[f"lstm.weight_ih_l{layer}"] @ inputs
        gates = gates + state[f"lstm.bias_ih_l{layer}"] + state[f"lstm.bias_hh_l{layer}"]
        i, _, g, o = np.split(gates, 4)
        sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
        hidden = sigmoid(o) * np.tanh(sigmoid(i) * np.tanh(g))
        inputs = hidden
    expected_V = state["fc.weight"] @ hidden + state["fc.bias"]
    torch.testing.assert_close(
        logits_of(foreign, [3])[0], torch.tensor(expected_V, dtype=torch.float32)
    )
