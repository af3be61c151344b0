"""Checkpoints as people have them, against the module that was saved."""

import argparse
import contextlib
import io
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.bundle.importing.foreign import ForeignModel, Saved
from tests.bundle.importing.hostile import modules_in_modules
from tests.errors import raises_code
from torch import nn

from lorelm.bundle.importing.checkpoint import read_checkpoint
from lorelm.bundle.importing.pickled_file import read_pickled_file
from lorelm.errors import InputError
from lorelm.model.config import ModelConfig
from lorelm.typing import Floats32


def model_in(path: Path) -> tuple[ModelConfig, dict[str, Floats32]]:
    checkpoint = read_checkpoint(path)
    return checkpoint.config, checkpoint.weights


def prefixed(model: nn.Module, prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in model.state_dict().items()}


def trained(model: nn.Module) -> torch.optim.Optimizer:
    """An optimizer with a state, as checkpoints hold it beside the weights."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0)
    sum(parameter.sum() for parameter in model.parameters()).backward()
    optimizer.step()
    return optimizer


def everything(model: nn.Module, key: str) -> dict[str, Any]:
    return {
        "epoch": 3,
        "best_loss": np.float64(4.5),
        "torch": torch.__version__,
        "saved_at": datetime.now(UTC),
        "args": argparse.Namespace(lr=0.1, path=Path("x.csv")),
        "optimizer_state_dict": trained(model).state_dict(),
        key: model.state_dict(),
        "losses": [1.5, 1.25],
    }


FORMS: dict[str, Callable[[nn.Module], Any]] = {
    "a state dict": lambda model: model.state_dict(),
    "a plain dict": lambda model: dict(model.state_dict()),
    "a tuple": lambda model: ({"lr": 0.1}, model.state_dict()),
    "two states": lambda model: (model.state_dict(), trained(model).state_dict()),
    "state_dict": lambda model: everything(model, "state_dict"),
    "model_state_dict": lambda model: everything(model, "model_state_dict"),
    "model": lambda model: everything(model, "model"),
    "nested": lambda model: {"run": {"model": {"state_dict": model.state_dict()}}},
    "DataParallel": lambda model: prefixed(model, "module."),
    "compiled": lambda model: prefixed(model, "_orig_mod."),
    "Lightning": lambda model: {"state_dict": prefixed(model, "model.")},
    "a module": lambda model: model,
    "a module in parallel": nn.DataParallel,
    "a module in a dict": lambda model: {"model": model, "epoch": 3},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "old format"])
@pytest.mark.parametrize("is_tied", [True, False], ids=["tied", "not tied"])
def test_the_weights_are_found_in_every_form(
    form: str, is_zip: bool, is_tied: bool, saved: Saved
) -> None:
    model = ForeignModel(tied=is_tied)
    path = saved("x.pt", FORMS[form](model), _use_new_zipfile_serialization=is_zip)
    config, weights = model_in(path)
    assert (config.vocabulary_size, config.embedding_size) == (30, 8)
    assert (config.hidden_size, config.num_layers, config.tied) == (8, 2, is_tied)
    assert weights.keys() == config.tensor_shapes().keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert weights[name].dtype == np.float32
        np.testing.assert_array_equal(weights[name], tensor.numpy())


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_pickle_protocol_is_read(protocol: int, saved: Saved) -> None:
    path = saved("x.pt", ForeignModel().state_dict(), pickle_protocol=protocol)
    assert read_checkpoint(path).config.num_layers == 2


@pytest.mark.parametrize("embedding", ["Embedding", "encoder", "emb_layer", "encoder.embedding"])
@pytest.mark.parametrize("lstm", ["lstm", "rnn", "encoder.rnn"])
@pytest.mark.parametrize("output", ["fc", "decoder", "linear", "out_layer", "decoder.0", "FC1"])
def test_layers_are_found_by_their_usual_names(
    embedding: str, lstm: str, output: str, saved: Saved
) -> None:
    model = ForeignModel()
    names = {"embedding": embedding, "lstm": lstm, "fc": output}
    state = {
        f"{names[layer]}.{last}": tensor
        for name, tensor in model.state_dict().items()
        for layer, _, last in [name.partition(".")]
    }
    weights = read_checkpoint(saved("x.pt", state)).weights
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(weights[name], tensor.numpy())


def test_a_tied_layer_may_be_left_out(saved: Saved) -> None:
    state = ForeignModel(tied=True).state_dict()
    del state["fc.weight"]
    config, weights = model_in(saved("x.pt", state))
    assert config.tied
    assert weights["fc.weight"] is weights["embedding.weight"]


def test_biases_that_a_model_lacks_are_zero(saved: Saved) -> None:
    state = ForeignModel(bias=False).state_dict()
    del state["fc.bias"]
    config, weights = model_in(saved("x.pt", state))
    assert weights.keys() == config.tensor_shapes().keys()
    for name in weights:
        assert ("bias" in name) == (not weights[name].any())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_numbers_of_any_length_become_float32(dtype: torch.dtype, saved: Saved) -> None:
    model = ForeignModel().to(dtype)
    weights = read_checkpoint(saved("x.pt", model.state_dict())).weights
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(weights[name], tensor.float().numpy())


def test_a_view_of_a_larger_storage_is_itself(saved: Saved) -> None:
    model = ForeignModel()
    whole = torch.arange(3 * 30 * 8, dtype=torch.float32).reshape(8, 90) / 1000
    state = model.state_dict() | {"embedding.weight": whole.t()[5:35]}
    weights = read_checkpoint(saved("x.pt", state)).weights
    np.testing.assert_array_equal(weights["embedding.weight"], whole.t()[5:35].numpy())


def test_the_model_is_preferred_among_several_sets_of_weights(saved: Saved) -> None:
    first, second = ForeignModel(), ForeignModel(tied=True)
    path = saved("x.pt", {"ema": second.state_dict(), "model": first.state_dict()})
    checkpoint = read_checkpoint(path)
    assert not checkpoint.config.tied
    [notice] = checkpoint.notices
    assert "model was taken, and ema left" in notice


def test_overlapping_tensors_are_refused(saved: Saved) -> None:
    base = torch.zeros(32 * 8)
    state = ForeignModel(layers=1).state_dict()
    for layer in range(1, 60):
        for kind in ("ih", "hh"):
            state[f"lstm.weight_{kind}_l{layer}"] = base.view(32, 8)
            state[f"lstm.bias_{kind}_l{layer}"] = base[:32]
    with raises_code(InputError, "import.other_model"):
        read_checkpoint(saved("x.pt", state))


def test_a_module_with_a_malformed_attribute_is_read(saved: Saved) -> None:
    model = ForeignModel()
    path = saved("x.pt", model)
    model._non_persistent_buffers_set = 5  # type: ignore[assignment]
    odd = saved("odd.pt", model)
    for name, array in read_checkpoint(path).weights.items():
        np.testing.assert_array_equal(read_checkpoint(odd).weights[name], array)


def with_extra(**extra: torch.Tensor) -> dict[str, torch.Tensor]:
    return ForeignModel().state_dict() | {n.replace("__", "."): t for n, t in extra.items()}


class Stacked(nn.Module):
    """Two LSTMs, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.fc = nn.Embedding(30, 8), nn.Linear(8, 30)
        self.first, self.second = nn.LSTM(8, 8), nn.LSTM(8, 8)


def recurrent(layer: nn.Module) -> dict[str, torch.Tensor]:
    return {"emb.weight": torch.zeros(30, 8), "out.weight": torch.zeros(30, 8)} | {
        f"rnn.{name}": tensor for name, tensor in layer.state_dict().items()
    }


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "GRU": (lambda: recurrent(nn.GRU(8, 8)), "GRU"),
    "plain RNN": (lambda: recurrent(nn.RNN(8, 8)), "plain RNN"),
    "two directions": (
        lambda: recurrent(nn.LSTM(8, 4, bidirectional=True)),
        "in both directions (tensor rnn.weight_ih_l0_reverse)"),
    "projection": (
        lambda: recurrent(nn.LSTM(8, 16, proj_size=8)),
        "projection (proj_size, tensor rnn.weight_hr_l0)"),
    "LayerNorm": (lambda: with_extra(norm__weight=torch.ones(8)), "norm.weight"),
    "a second linear layer": (
        lambda: with_extra(fc2__weight=torch.ones(8, 8)), "fc.weight and fc2.weight"),
    "weights dropped": (lambda: with_extra(lstm__weight_hh_l0_raw=torch.ones(8)), "l0_raw"),
    "two LSTMs": (Stacked, "first.weight_ih_l0 and second.weight_ih_l0"),
    "no LSTM": (lambda: nn.Linear(3, 4).state_dict(), "its tensors are weight, bias"),
    "nothing": (lambda: {"epoch": 3}, "no tensor by name"),
    "no embedding": (
        lambda: {n: t for n, t in with_extra().items() if "emb" not in n}, "no embedding"),
    "no output layer": (
        lambda: {n: t for n, t in ForeignModel(hidden=12).state_dict().items() if "fc" not in n},
        "no output layer"),
    "a layer is missing": (
        lambda: {n: t for n, t in ForeignModel(layers=3).state_dict().items() if "l1" not in n},
        "lstm.weight_hh_l1 (as we call it) is missing"),
    "another vocabulary": (
        lambda: ForeignModel().state_dict() | {"fc.weight": torch.zeros(31, 8)},
        "fc.weight (as we call it) is 31 x 8, and should be 30 x 8"),
    "whole numbers": (
        lambda: ForeignModel().state_dict() | {"fc.bias": torch.zeros(30, dtype=torch.int64)},
        "fc.bias holds no numbers"),
    "a small vocabulary": (lambda: ForeignModel(words=2).state_dict(), "vocabulary_size"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_another_architecture_is_refused_by_what_does_not_fit(what: str, saved: Saved) -> None:
    make, wanted = REFUSED[what]
    path = saved("x.pt", make())
    with raises_code(InputError, "import.other_model") as refused:
        read_checkpoint(path)
    assert wanted in str(refused.value)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_nan_and_infinity_are_refused_by_their_tensor(number: float, saved: Saved) -> None:
    state = ForeignModel().state_dict()
    state["lstm.bias_hh_l1"][3] = number
    path = saved("x.pt", state)
    with raises_code(InputError, "import.not_finite") as refused:
        read_checkpoint(path)
    assert "x.pt is not imported: its tensor lstm.bias_hh_l1" in str(refused.value)


def test_torchscript_is_refused_with_a_remedy(saved: Saved) -> None:
    file = io.BytesIO()
    with warnings.catch_warnings(action="ignore"):
        torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.zeros(2)), file)
    with raises_code(InputError, "import.refused") as refused:
        read_checkpoint(saved("x.pt", file.getvalue()))
    assert "torch.save(model.state_dict(), ...)" in str(refused.value)


def test_a_long_tensor_name_is_refused_by_its_length(saved: Saved) -> None:
    state = ForeignModel().state_dict() | {"ab." * 100_000 + "weight": torch.zeros(2)}
    with raises_code(InputError, "import.other_model") as refused:
        read_checkpoint(saved("x.pt", state))
    assert "300,006 characters" in str(refused.value)
    assert len(str(refused.value)) < 300
    with raises_code(InputError, "import.other_model") as refused:
        read_checkpoint(saved("x.pt", {"ab." * 100_000: torch.zeros(2)}))
    assert len(str(refused.value)) < 500


def test_a_module_that_expands_is_refused(saved: Saved) -> None:
    for data in (modules_in_modules(14, "a" * 10_000), modules_in_modules(17, "a")):
        with raises_code(InputError, "import.other_model"):
            read_checkpoint(saved("x.pt", data))


def test_safetensors_is_refused_with_a_remedy(saved: Saved) -> None:
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    data = len(header).to_bytes(8, "little") + header + bytes(4)
    with raises_code(InputError, "import.refused") as refused:
        read_checkpoint(saved("x.safetensors", data))
    assert "torch.save(model.state_dict(), ...)" in str(refused.value)


def test_a_file_that_shrinks_while_it_is_read_is_refused(saved: Saved) -> None:
    path = saved("x.pt", ForeignModel().state_dict())
    file = read_pickled_file(path)
    path.write_bytes(path.read_bytes()[:2_000])
    with raises_code(InputError, "import.changed_file"):
        file.arrays(file.value)


def test_averaged_weights_are_read(saved: Saved) -> None:
    model = ForeignModel()
    averaged = torch.optim.swa_utils.AveragedModel(model)
    weights = read_checkpoint(saved("x.pt", averaged.state_dict())).weights
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(weights[name], tensor.numpy())


def saved_bytes(is_zip: bool) -> bytes:
    file = io.BytesIO()
    torch.save(
        ForeignModel(words=4, embedding=2, hidden=2, layers=1).state_dict(),
        file,
        _use_new_zipfile_serialization=is_zip,
    )
    return file.getvalue()


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "old format"])
@given(drawn=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_is_read_or_refused(
    is_zip: bool, drawn: st.DataObject, tmp_path: Path
) -> None:
    data = bytearray(saved_bytes(is_zip))
    for _ in range(drawn.draw(st.integers(1, 6))):
        place = drawn.draw(st.integers(0, len(data) - 1))
        data[place : place + drawn.draw(st.integers(0, 2))] = drawn.draw(st.binary(max_size=2))
    if drawn.draw(st.booleans()):
        del data[drawn.draw(st.integers(0, len(data) - 1)) :]
    path = tmp_path / "damaged.pt"
    path.write_bytes(data)
    with contextlib.suppress(InputError):
        read_checkpoint(path)
