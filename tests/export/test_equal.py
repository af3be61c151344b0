"""The page in the browser does what Python does, number by number and text by text."""

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.export.conftest import ExportedFiles, InBrowser

from lorelm.bundle import Bundle
from lorelm.corpus.documents import Documents
from lorelm.generation.language_model import load
from lorelm.runtime.base import State
from lorelm.server.api.views import _unknown_words
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import Recipe
from lorelm.training.train import train

pytestmark = pytest.mark.system

ODD_TEXTS = [
    "",
    " \n\t ",
    "The fox, who was tired -- slept...",
    "'tis a well-known \"fact\" (he said); don't!!!\n\n\nNo?\r\nYes",
    "o'clock rock'n'roll it’s ’tis '' ’’ a'",
    "snake_case __init__ _ 3.14 1,000 ²³ ½ Ⅷ ①",
    "Füße ÉCOLE naïve Straße İstanbul ΟΔΥΣΣΕΥΣ ǅ ß",
    "नमस्ते दुनिया สวัสดีชาวโลก مرحبا 你好，世界。 שָׁלוֹם",
    "👩‍👩‍👧 🙂🙂🙂 ￭ ■ ￭￭ <unk> <eos> <br /> <speaker OWL>",
    "a\u00a0b\u2003c\ufeffd\x1ce\x85f\u2028g\u200bh",
    "OWL: Who? OLD MOLE: not a cue\nOLD MOLE:   So\n  HARE:\nNobody: hm\nowl: Who",
    "Dr. X'Y-Z von: yes\nA B C D E: no\nÀngel: sí\nSOMEONE: I\rHARE: no\u2028OWL: no",
    "OWL:Who\nOWL :Who\n:x\nOWL:",
    "ends in a line\n",
    "ends in lines \r\n\r\n",
]

PROMPTS = [
    "",
    "“Don’t,” said the ‛foxʼ′＇´ „no‟, ″the＂ fox.",
    "The owl , the fox ! And the hare —",
    "The fox",
    'Then the Zorblax, who was glib, said: "',
    "OWL: Where is the mill?\nHARE:",
    "OWL: Hm.\nKARL: Who is Frank at the bridge?\nMARIA: Oh!\nKARL:",
    "No owl ever saw the barn at night!\n",
]

SETTINGS: list[dict[str, Any]] = [
    {"temperature": 0, "max_len": 80, "seed": 0},
    {"seed": 1, "max_len": 60},
    {"seed": 2**32 + 5, "max_len": 40, "temperature": 1.4, "min_p": 0, "min_len": 30},
    {"seed": 3, "max_len": 40, "min_p": 0, "top_k": 7},
    {"seed": 4, "max_len": 40, "min_p": 0.01, "top_p": 0.8, "top_k": 20},
    {"seed": 5, "max_len": 40, "repetition_penalty": 1.3, "min_len": 20},
    {"seed": 6, "max_len": 40, "frequency_penalty": 0.7, "presence_penalty": -0.4},
    {"seed": 7, "max_len": 60, "num_samples": 3, "stop": ["the mill", "."]},
    {"seed": 8, "max_len": 60, "single_turn": True},
    {"seed": 9, "max_len": 60, "num_alternatives": 20},
]


@pytest.mark.parametrize("mixture", [False, True])
@pytest.mark.parametrize("name", ["tiny_bundle", "scene_bundle"])
def test_it_writes_the_same_texts(
    name: str,
    mixture: bool,
    request: pytest.FixtureRequest,
    in_browser: InBrowser,
    exported_files: ExportedFiles,
) -> None:
    bundle = request.getfixturevalue(name)
    bodies = [
        {"prompt": prompt, "num_alternatives": 3, **settings, "novel_span": novel_span}
        for prompt in PROMPTS
        for settings in SETTINGS
        for novel_span in (0, 3, 6)
    ]
    _compare(bundle, bodies, in_browser, exported_files, mixture=mixture)


def test_an_imported_model_writes_the_same_texts(
    imported_bundle: Path, in_browser: InBrowser, exported_files: ExportedFiles
) -> None:
    """It reads no `<eos>` before a prompt, never writes `<pad>`, and has no stand-ins."""
    bodies = [
        {"prompt": prompt, "num_alternatives": 3, **settings}
        for prompt in ("", "the fox", "To zorblax: don't!")
        for settings in SETTINGS
    ]
    _compare(imported_bundle, bodies, in_browser, exported_files)


@pytest.mark.parametrize("style", ["subword", "classic", "basic_english"])
def test_models_of_other_tokenizers_write_the_same_texts(
    style: str,
    tales: Documents,
    tiny_recipe: Recipe,
    tmp_path: Path,
    in_browser: InBrowser,
    exported_files: ExportedFiles,
) -> None:
    recipe = replace(tiny_recipe, tokenizer=style, tied=True, epochs=2)
    train(tales, recipe, out=tmp_path / "m", options=TrainingOptions(device="cpu"))
    bodies = [
        {"prompt": prompt, "num_alternatives": 3, **settings}
        for prompt in PROMPTS
        for settings in SETTINGS[:3]
    ]
    _compare(tmp_path / "m", bodies, in_browser, exported_files)
    files = exported_files(tmp_path / "m")
    tokenizer = Bundle.load(tmp_path / "m").tokenizer
    assert in_browser("tokenize", texts=ODD_TEXTS, **files) == [
        tokenizer.tokenize_prompt(text) for text in ODD_TEXTS
    ]


def _compare(
    path: Path,
    bodies: Sequence[dict[str, Any]],
    in_browser: InBrowser,
    exported_files: ExportedFiles,
    *,
    mixture: bool = False,
) -> None:
    model = load(path, precision="int8", mixture=mixture)
    files = exported_files(path, mixture=mixture)
    for body, written in zip(bodies, in_browser("generate", bodies=bodies, **files), strict=True):
        prompt, settings = body["prompt"], {n: v for n, v in body.items() if n != "prompt"}
        expected = asdict(model.generate(prompt, **settings))
        assert written["unknown_words"] == list(expected["unknown_words"])
        for sample, other in zip(written["samples"], expected["samples"], strict=True):
            tokens, expected_tokens = sample.pop("tokens"), other.pop("tokens")
            assert other.pop("missing_words") is None  # it requires none
            assert sample == other, body
            for token, same in zip(tokens, expected_tokens, strict=True):
                _compare_tokens([token, *token["alternatives"]], [same, *same["alternatives"]])


def _compare_tokens(tokens: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]]) -> None:
    assert [token["text"] for token in tokens] == [other["text"] for other in others]
    logs = [[each["log_probability"] for each in side] for side in (tokens, others)]
    # Python's exponentials are in float32.
    assert logs[0] == pytest.approx(logs[1], abs=1e-6)


@pytest.mark.parametrize("name", ["tiny_bundle", "scene_bundle", "imported_bundle"])
def test_it_cuts_odd_texts_as_python_does(
    name: str,
    request: pytest.FixtureRequest,
    in_browser: InBrowser,
    exported_files: ExportedFiles,
) -> None:
    path = request.getfixturevalue(name)
    tokenizer = Bundle.load(path).tokenizer
    cut = in_browser("tokenize", texts=ODD_TEXTS, **exported_files(path))
    assert cut == [tokenizer.tokenize_prompt(text) for text in ODD_TEXTS]


def test_it_finds_unknown_words_and_the_nearest(
    scene_bundle: Path, in_browser: InBrowser, exported_files: ExportedFiles
) -> None:
    texts = ["Who is at teh brigde? Zorblax frend", "OLW: Hm\nHARES: Who\nold mole: Noo", "x y"]
    found = in_browser("check", texts=texts, **exported_files(scene_bundle))
    served = _Served(scene_bundle)
    for text, each in zip(texts, found, strict=True):
        words = _unknown_words(served, text)  # type: ignore[arg-type]
        nearest = [served.model.word_index.nearest(word) for word in words]
        assert [(one["word"], one["nearest"]) for one in each["unknown_words"]] == [
            *zip(words, nearest, strict=True)
        ]
        assert each["num_unknown_words"] == len(words)


class _Served:
    """What the server's search for unknown words takes."""

    def __init__(self, path: Path) -> None:
        self.model = load(path)


@pytest.mark.parametrize("name", ["english", "tiny_bundle"])
def test_logits_are_the_same_to_the_last_bit(
    name: str,
    request: pytest.FixtureRequest,
    in_browser: InBrowser,
    exported_files: ExportedFiles,
) -> None:
    """Of a model whose first layer reads embeddings, and of one whose products are tabulated."""
    path = Path(name) if name == "english" else request.getfixturevalue(name)
    bundle = Bundle.load(path)
    runtime, state = bundle.runtime("int8"), State.zeros(bundle.manifest.model, 1)
    ids = np.random.default_rng(0).integers(0, len(bundle.vocabulary), 12).tolist()
    expected = []
    for id_ in ids:
        logits_1V, state = runtime.step(np.array([id_]), state)
        expected.append(logits_1V[0])
    logits = in_browser("logits", ids=ids, model=exported_files(path)["model"])
    assert (np.array(logits, np.float32) == np.stack(expected)).all()


def test_random_numbers_are_those_of_numpy(in_browser: InBrowser) -> None:
    seeds = [0, 1, 42, 2**32 - 1, 2**32, 2**53 - 1]
    numbers = in_browser("random", seeds=seeds, count=50)
    for seed, row in zip(seeds, numbers, strict=True):
        assert row == np.random.Generator(np.random.Philox(seed)).random(50).tolist()


def test_keys_of_tokens_are_those_of_hashlib(in_browser: InBrowser) -> None:
    texts = ["", "a", "Frodo", "\n", "é" * 64, "x" * 128, "x" * 129, "ü" * 300]
    digests = [hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts]
    expected = [str(int.from_bytes(digest, "little")) for digest in digests]
    assert in_browser("hash", texts=texts) == expected


def test_activations_are_those_of_onnx_runtime(in_browser: InBrowser) -> None:
    rng = np.random.default_rng(0)
    numbers = np.concatenate([rng.normal(0, spread, 3000) for spread in (0.01, 1, 5, 30)])
    numbers = numbers.astype(np.float32)
    scale = np.float32(1 / 127)
    found = in_browser("activations", numbers=numbers.tolist(), scale=float(scale))
    operators = {"tanh": "Tanh", "sigmoid": "Sigmoid", "quantised": "QuantizeLinear"}
    for name, operator in operators.items():
        expected = _computed(operator, numbers, scale)
        assert (np.array(found[name], np.float32) == expected).all(), name


def _computed(operator: str, numbers: np.ndarray, scale: np.float32) -> np.ndarray:
    """What ONNX Runtime computes."""
    import onnx
    import onnxruntime as ort

    helper, types = onnx.helper, onnx.TensorProto
    is_quantized = operator == "QuantizeLinear"
    constants = [("scale", np.array(scale)), ("zero", np.array(128, np.uint8))]
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", *(["scale", "zero"] if is_quantized else [])], ["y"])],
        "one",
        [helper.make_tensor_value_info("x", types.FLOAT, ["N"])],
        [helper.make_tensor_value_info("y", types.UINT8 if is_quantized else types.FLOAT, ["N"])],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants],
    )
    opsets = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, ir_version=9, opset_imports=opsets).SerializeToString()
    [result] = ort.InferenceSession(model).run(None, {"x": numbers})
    return result.astype(np.float32) - 128 if is_quantized else result


def test_characters_have_the_properties_that_python_gives_them(in_browser: InBrowser) -> None:
    """Among those that both know: each follows a version of Unicode of its own."""
    known = [code for code in range(0x110000) if unicodedata.category(chr(code)) != "Cn"]
    for name, ranges in in_browser("characters").items():
        holds = {code for begin, end in ranges for code in range(begin, end)}
        different = [hex(c) for c in known if getattr(chr(c), name)() != (c in holds)]
        # Unicode 16 made lower-case letters of six modifiers, such as U+10FC.
        assert len(different) <= (6 if name == "islower" else 0), (name, different[:20])


def test_case_is_folded_as_python_does(in_browser: InBrowser) -> None:
    texts = ["Füße STRASSE", "ΟΔΥΣΣΕΥΣ Οδυσσεύς", "Iı İi", "ﬁ ŉ ǅ", "ЁЖИК", "Ærø"]
    assert in_browser("casefold", texts=texts) == [text.casefold() for text in texts]


def test_requests_that_cannot_be_met_are_refused(
    older_bundle: Path, in_browser: InBrowser, exported_files: ExportedFiles
) -> None:
    bodies = [
        {"prompt": "x", "novel_span": 6},
        {"prompt": "x", "min_len": 9, "max_len": 5},
        {"prompt": "x", "seed": 2**53 - 1, "num_samples": 2},
        {"prompt": "x", "logit_bias": {"the": 3}},
        {"prompt": "x", "model": "model"},
    ]
    copies, length, seed, unknown, fine = in_browser(
        "refuse", bodies=bodies, **exported_files(older_bundle)
    )
    assert "no index of the training text" in copies["message"]
    assert [field["field"] for field in (*length["fields"], *seed["fields"])] == ["max_len", "seed"]
    assert "logit_bias" in unknown["message"]
    assert fine is None
