import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.errors import raises_code

from lorelm.bundle import EMBEDDED_PATH, Bundle, BundleContents, save_bundle
from lorelm.bundle.layout import CHECKPOINT
from lorelm.bundle.metrics import Metrics
from lorelm.bundle.writer import lock_output_dir
from lorelm.corpus.documents import Documents
from lorelm.corpus.preparation import Corpus, prepare_corpus
from lorelm.errors import BundleError
from lorelm.evaluation.perplexity import perplexity, predict
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.ngrams.kneser_ney import KneserNey
from lorelm.runtime.base import Runtime
from lorelm.runtime.step_graph import build_step_graph
from lorelm.runtime.torch_runtime import TorchRuntime
from lorelm.typing import Ids


@pytest.fixture
def copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))


@pytest.fixture(scope="module")
def tales_corpus(tales: Documents, tiny_bundle: Path) -> Corpus:
    bundle = Bundle.load(tiny_bundle)
    recipe = bundle.manifest.recipe
    return prepare_corpus(
        tales,
        tokenizer=bundle.tokenizer,
        vocabulary=bundle.vocabulary,
        split_seed=recipe["split_seed"],
    )


def torch_model(bundle: Bundle) -> LSTMLanguageModel:
    model = LSTMLanguageModel(bundle.manifest.model)
    model.load_state_dict({name: torch.tensor(w) for name, w in bundle.weights().items()})
    return model


def save_again(bundle: Bundle, path: Path, *, serving_only: bool = False) -> None:
    weights = bundle.weights()
    manifest = bundle.manifest
    precisions = ["int8"] if serving_only else bundle.precisions
    contents = BundleContents(
        manifest=manifest.model_copy(update={"files": {}, "created_by": ""}),
        vocabulary=bundle.vocabulary,
        graphs={p: build_step_graph(weights, manifest.model, p) for p in precisions},
        weights=None if serving_only else weights,
        spelling=bundle.spelling(),
        copies=bundle.copies(),
        ngram=None if serving_only else bundle.ngram()[0],
        metrics=(bundle.path / "metrics.jsonl").read_bytes(),
        curves=None if serving_only else (bundle.path / "curves.png").read_bytes(),
    )
    save_bundle(path, contents)


def test_saving_a_loaded_bundle_gives_the_same_bytes(tiny_bundle: Path, tmp_path: Path) -> None:
    save_again(Bundle.load(tiny_bundle), tmp_path / "again")
    files = {file.name for file in (tmp_path / "again").iterdir()}
    assert files == {
        "manifest.json",
        "vocabulary.json",
        "weights.safetensors",
        "step.float32.onnx",
        "step.int8.onnx",
        "spelling.npz",
        "copies.npz",
        "ngram.npz",
        "metrics.jsonl",
        "curves.png",
    }
    for name in files:
        assert (tmp_path / "again" / name).read_bytes() == (tiny_bundle / name).read_bytes()


def test_a_serving_bundle_that_replaces_a_whole_one_has_no_weights(copy: Path) -> None:
    bundle = Bundle.load(copy)
    save_again(bundle, copy, serving_only=True)
    files = {file.name for file in copy.iterdir()}
    assert files == {
        *("manifest.json", "vocabulary.json", "step.int8.onnx", "metrics.jsonl"),
        *("spelling.npz", "copies.npz"),
    }
    with raises_code(BundleError, "bundle.no_weights"):
        Bundle.load(copy).weights()
    with raises_code(BundleError, "bundle.no_graph"):
        Bundle.load(copy).runtime("float32")


def test_the_vocabulary_comes_from_the_training_part(
    tiny_bundle: Path, tales_corpus: Corpus
) -> None:
    assert Bundle.load(tiny_bundle).vocabulary == tales_corpus.vocabulary


def perplexity_of(runtime: Runtime, stream: Ids) -> float:
    return perplexity(-predict(runtime, stream).log_probabilities.mean())


def test_pytorch_and_both_graphs_score_alike(tiny_bundle: Path, tales_corpus: Corpus) -> None:
    bundle = Bundle.load(tiny_bundle)
    stream = tales_corpus.test.stream
    expected = perplexity_of(TorchRuntime(torch_model(bundle)), stream)
    float32 = perplexity_of(bundle.runtime("float32"), stream)
    int8 = perplexity_of(bundle.runtime("int8"), stream)
    assert float32 == pytest.approx(expected, rel=1e-5)
    assert int8 == pytest.approx(expected, rel=0.005)


def test_the_manifest_holds_the_measured_metrics(tiny_bundle: Path, tales_corpus: Corpus) -> None:
    bundle = Bundle.load(tiny_bundle)
    stated = bundle.manifest.training
    stream = tales_corpus.test.stream
    measured = perplexity_of(bundle.runtime("float32"), stream)
    assert stated.test_perplexity == pytest.approx(measured, rel=1e-5)
    assert bundle.manifest.corpus.test_tokens == len(stream)


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "name", ["vocabulary.json", "weights.safetensors", "step.float32.onnx", "step.int8.onnx"]
)
@pytest.mark.parametrize(
    ("harm", "code"), [(damage, "bundle.hash_mismatch"), (Path.unlink, "bundle.missing_file")]
)
def test_a_damaged_or_missing_file_is_refused_by_name(
    copy: Path, name: str, harm: Callable[[Path], None], code: str
) -> None:
    harm(copy / name)
    with raises_code(BundleError, code) as caught:
        Bundle.load(copy)
    assert str(copy / name) in str(caught.value)


def edit_manifest(path: Path, **changes: object) -> None:
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps(manifest | changes))


def test_a_newer_format_is_refused_with_a_remedy(copy: Path) -> None:
    edit_manifest(copy, format_version=3)
    with raises_code(BundleError, "bundle.newer_format"):
        Bundle.load(copy)


def test_a_manifest_of_format_1_is_upgraded(copy: Path) -> None:
    new = Bundle.load(copy).manifest
    old = json.loads((copy / "manifest.json").read_text())
    old |= {"format_version": 1, "figures": old.pop("metrics")}
    names = "valid_perplexity", "test_perplexity"
    old["evaluation"] = {name: old["training"].pop(name) for name in names}
    old["evaluation"] |= {"int8_test_perplexity": 7.0, "test_unknown_rate": 0.1}
    old["cache"]["sharpness"] = old["cache"].pop("theta")
    (copy / "manifest.json").write_text(json.dumps(old))
    assert Bundle.load(copy).manifest == new


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"format_version": 1}', '{"format_version": 2}']
)
def test_a_damaged_manifest_is_refused(copy: Path, content: str) -> None:
    (copy / "manifest.json").write_text(content)
    with raises_code(BundleError, "bundle.damaged_manifest"):
        Bundle.load(copy)


def test_an_unknown_tokenizer_is_refused(copy: Path) -> None:
    edit_manifest(copy, tokenizer="syllables")
    with raises_code(BundleError, "bundle.unknown_tokenizer"):
        Bundle.load(copy)


def with_hash_of(path: Path, name: str, content: bytes) -> None:
    """Puts other content into a file and its hash into the manifest."""
    import hashlib

    (path / name).write_bytes(content)
    files = json.loads((path / "manifest.json").read_text())["files"]
    edit_manifest(path, files=files | {name: hashlib.sha256(content).hexdigest()})


def test_a_vocabulary_that_does_not_fit_is_refused(copy: Path) -> None:
    words = json.loads((copy / "vocabulary.json").read_text())
    with_hash_of(copy, "vocabulary.json", json.dumps(words[:-1]).encode())
    with raises_code(BundleError, "bundle.mismatch"):
        Bundle.load(copy)


def test_weights_that_do_not_fit_are_refused(copy: Path) -> None:
    from safetensors.numpy import save

    weights = Bundle.load(copy).weights()
    weights["fc.bias"] = np.zeros(3, np.float32)
    with_hash_of(copy, "weights.safetensors", save(weights))
    with raises_code(BundleError, "bundle.mismatch"):
        Bundle.load(copy).weights()


def test_a_graph_that_does_not_fit_is_refused(copy: Path, tiny_bundle: Path) -> None:
    bundle = Bundle.load(tiny_bundle)
    size = bundle.manifest.model.vocabulary_size - 1
    weights = bundle.weights()
    for name in ("embedding.weight", "fc.weight", "fc.bias"):
        weights[name] = weights[name][:size]
    smaller = type(bundle.manifest.model)(
        vocabulary_size=size, embedding_size=12, hidden_size=32, num_layers=2
    )
    with_hash_of(copy, "step.int8.onnx", build_step_graph(weights, smaller, "int8"))
    with pytest.raises(BundleError, match=r"step\.int8\.onnx does not fit"):
        Bundle.load(copy).runtime()


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("absent", "bundle.not_found"),
        ("file", "bundle.not_a_pack"),
        ("empty directory", "bundle.missing_file"),
    ],
)
def test_a_path_without_a_bundle_is_refused(tmp_path: Path, kind: str, code: str) -> None:
    path = tmp_path / "model"
    if kind == "file":
        path.write_text("")
    elif kind == "empty directory":
        path.mkdir()
    with raises_code(BundleError, code):
        Bundle.load(path)


def test_the_error_for_an_unfinished_run_says_how_to_resume(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_text("")
    with raises_code(BundleError, "bundle.unfinished_run") as caught:
        Bundle.load(tmp_path)
    assert f" lorelm train --resume {tmp_path}, or " in str(caught.value)
    assert str(caught.value).endswith(f" lorelm train --finish {tmp_path}")


def test_english_names_the_embedded_model_unless_a_folder_holds_one(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copy.parent)
    assert Bundle.load("english").path == EMBEDDED_PATH
    (copy.parent / "english").mkdir()
    assert Bundle.load("english").path == EMBEDDED_PATH
    with raises_code(BundleError, "bundle.missing_file"):
        Bundle.load("./english")
    (copy.parent / "english" / CHECKPOINT).write_text("")
    with raises_code(BundleError, "bundle.unfinished_run"):
        Bundle.load("english")
    shutil.rmtree(copy.parent / "english")
    copy.rename(copy.parent / "english")
    assert Bundle.load(Path("english")).path == copy.parent / "english"


def test_a_file_that_is_called_english_is_no_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("english").write_text("", encoding="utf-8")
    assert Bundle.load("english").path == EMBEDDED_PATH


def test_the_embedded_bundle_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(EMBEDDED_PATH.parent)
    for path in (EMBEDDED_PATH, tmp_path / "link" / EMBEDDED_PATH.name):
        with (
            raises_code(BundleError, "bundle.embedded"),
            lock_output_dir(path),
        ):
            pass


def test_an_output_directory_is_locked_once(tmp_path: Path) -> None:
    path = tmp_path / "model"
    with (
        lock_output_dir(path),
        raises_code(BundleError, "bundle.locked"),
        lock_output_dir(path),
    ):
        pass


def test_an_older_bundle_lacks_the_parts_that_it_does_not_list(older_bundle: Path) -> None:
    bundle = Bundle.load(older_bundle)
    assert bundle.spelling() is None
    assert bundle.copies() is None
    assert not bundle.has_ngram
    assert bundle.manifest.metrics is None
    assert bundle.manifest.corpus.files == ()
    with raises_code(BundleError, "bundle.no_ngram"):
        bundle.ngram()


@pytest.mark.parametrize("name", ["spelling.npz", "copies.npz", "ngram.npz"])
def test_a_damaged_array_file_is_named(copy: Path, name: str) -> None:
    (copy / name).write_bytes(b"no numbers")
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"][name] = hashlib.sha256(b"no numbers").hexdigest()
    (copy / "manifest.json").write_text(json.dumps(manifest))
    bundle = Bundle.load(copy)
    read = {"spelling.npz": bundle.spelling, "copies.npz": bundle.copies, "ngram.npz": bundle.ngram}
    with raises_code(BundleError, "bundle.damaged_file"):
        read[name]()


def test_the_ngram_model_of_another_vocabulary_is_refused(copy: Path) -> None:
    other = KneserNey.fit(np.array([0, 1, 2]), order=2, vocabulary_size=3).to_bytes()
    (copy / "ngram.npz").write_bytes(other)
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"]["ngram.npz"] = hashlib.sha256(other).hexdigest()
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with raises_code(BundleError, "bundle.mismatch"):
        Bundle.load(copy).ngram()


def test_recorded_figures_are_read_back_and_nothing_else_changes(copy: Path) -> None:
    figures = Metrics(
        text="tales",
        documents=3,
        tokens=30,
        characters=90,
        precision="int8",
        perplexity=7.5,
        perplexity_interval=(7.0, 8.0),
        unknown_rate=0.1,
        unknown_rate_interval=(0.0, 0.2),
        calibration_error=0.02,
        copied_share={4: 0.5, 12: 0.0},
    )
    before = Bundle.load(copy)
    before.record_metrics(figures)
    after = Bundle.load(copy)
    assert after.manifest.metrics == figures
    unchanged = {"metrics": before.manifest.metrics}
    assert after.manifest.model_copy(update=unchanged) == before.manifest
    assert not [file for file in copy.iterdir() if file.name.startswith(".")]


def test_the_training_metrics_are_read(tiny_bundle: Path, copy: Path) -> None:
    assert [line["epoch"] for line in Bundle.load(tiny_bundle).training_metrics()] == list(
        range(1, 11)
    )
    for damaged in ("no json", "[1]", '{"epoch": 1}', "7"):
        (copy / "metrics.jsonl").write_text(damaged)
        with raises_code(BundleError, "bundle.damaged_file"):
            Bundle.load(copy).training_metrics()
    (copy / "metrics.jsonl").unlink()
    assert Bundle.load(copy).training_metrics() == []


@pytest.mark.parametrize(
    "ngram", [{"order": 9}, {"order": 0}, {"mixture_weight": 1.5}, {"mixture_weight": -0.1}]
)
def test_metadata_out_of_range_is_refused(copy: Path, ngram: dict[str, float]) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["ngram"] |= ngram
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with raises_code(BundleError, "bundle.damaged_manifest"):
        Bundle.load(copy)
