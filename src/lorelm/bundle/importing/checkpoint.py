"""Find a word-level LSTM in a foreign checkpoint: :func:`read_checkpoint`."""

import dataclasses
import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from lorelm.bundle.importing.pickled_file import naming, read_pickled_file
from lorelm.bundle.importing.stubs import Record, TensorClaim
from lorelm.bundle.importing.unpickler import walk
from lorelm.errors import InputError
from lorelm.model.config import ModelConfig
from lorelm.typing import Floats32

Claims = Mapping[str, TensorClaim]

# Keys of the weights in a file that holds more, the preferred ones first.
_STATE_NAMES: Final = ("model_state_dict", "state_dict", "model", "net", "network", "lm")
_EMBEDDING: Final = re.compile(
    r"((word|token|tok)_)?emb(ed(ding)?s?)?(_tokens)?|encoder|wte|lookup"
)
_OUTPUT: Final = (
    *("fc", "decoder", "linear", "out", "output", "lm_head", "head", "dense", "classifier"),
    *("fc_out", "linear_out", "hidden2word", "hidden2tag", "hidden_to_vocab", "hidden2vocab"),
    *("proj", "predictor", "to_logits", "generator"),
)

_MAX_SHOWN: Final = 50
_MAX_LISTED: Final = 6
_MAX_NAME: Final = 300
# Of all pickled modules together, which may hold the same ones at many places, or themselves.
_MAX_MEMBERS: Final = 10_000

_COUNTER: Final = "n_averaged"  # of PyTorch's AveragedModel, beside the weights
_FIRST_LAYER: Final = "weight_ih_l0"
_FLOATS: Final = ("FloatStorage", "DoubleStorage", "HalfStorage", "BFloat16Storage")
_MODULE_PARTS: Final = ("_parameters", "_buffers", "_modules")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A foreign checkpoint that holds a model like ours, with ids of its own.

    Attributes:
        weights: by the names of :meth:`ModelConfig.tensor_shapes`.
        notices: how it was read, for a user.
        value: all that the file holds.
    """

    config: ModelConfig
    weights: dict[str, Floats32]
    notices: tuple[str, ...]
    value: Any


def read_checkpoint(path: Path) -> Checkpoint:
    """Read the word-level LSTM language model in a file.

    Biases that it lacks are zero, and a missing output layer is the embedding.

    Raises:
        InputError: the file is unsafe, damaged or holds no such model. The message names the file,
            and the tensor that does not fit.
    """
    file = read_pickled_file(path)
    with naming(path, code="import.other_model"):
        found, notices = _model_in(file.value)
        tensors = _as_ours(found)
        config = _config(tensors)
    weights = file.arrays(tensors)
    weights.setdefault("fc.weight", weights["embedding.weight"])
    for name, shape in config.tensor_shapes().items():
        weights.setdefault(name, np.zeros(shape, dtype=np.float32))
    is_tied = np.array_equal(weights["fc.weight"], weights["embedding.weight"])
    if is_tied:
        weights["fc.weight"] = weights["embedding.weight"]
    config = dataclasses.replace(config, tied=is_tied)
    return Checkpoint(config=config, weights=weights, notices=notices, value=file.value)


# Find the model in the file.


def _model_in(value: Any) -> tuple[Claims, tuple[str, ...]]:
    """Return the tensors of the model by their names in the file, and notices."""
    candidates = sorted(_state_dicts(value), key=lambda each: _rank(each[0]))
    found = [(name, tensors) for name, tensors in candidates if any(map(_is_first_layer, tensors))]
    if not found:
        names = [name for _, tensors in candidates for name in tensors]
        raise InputError(
            f"it holds no LSTM of PyTorch's (a tensor ...{_FIRST_LAYER}): "
            + (f"its tensors are {_listed(names)}" if names else "it holds no tensor by name")
        )
    (name, tensors), *others = found
    if not others:
        return tensors, ()
    left = _listed(other or "one without a name" for other, _ in others)
    return tensors, (
        f"It holds more than one set of weights: {name or 'the first'} was taken, and {left} left.",
    )


def _state_dicts(value: Any) -> Iterator[tuple[str, Claims]]:
    """Yield every dict of tensors and every module in a value, with its name in the file."""
    counter = itertools.count()
    for path, part in walk(value, "", _named_parts):
        if isinstance(part, Record) and "_modules" in part.attributes:
            yield path, _module_tensors(part, counter)
        elif isinstance(part, dict):
            tensors = {k: v for k, v in part.items() if isinstance(v, TensorClaim)}
            if tensors and all(isinstance(key, str) for key in tensors):
                yield path, tensors


def _named_parts(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what lies in a container, but in a module, with its name in the file."""
    if isinstance(value, Record):
        value = {} if "_modules" in value.attributes else value.attributes
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in items:
        # For messages; a key may be a long text, many times and at any depth.
        name = str(key)[:_MAX_SHOWN] if isinstance(key, str | int) else "..."
        yield f"{path}.{name}"[-_MAX_NAME:].lstrip("."), part


def _module_tensors(root: Record, counter: Iterator[int]) -> Claims:
    """Return the parameters of a pickled module by their names in a state dict.

    The counter counts the members of all modules in a file.
    """
    tensors: dict[str, TensorClaim] = {}
    modules = [("", root)]
    for prefix, module in modules:  # grows meanwhile
        transient = module.attributes.get("_non_persistent_buffers_set")
        transient = transient if isinstance(transient, set) else set()
        parts = [module.attributes.get(part) for part in _MODULE_PARTS]
        members = [member for part in parts if isinstance(part, dict) for member in part.items()]
        for name, member in members:
            if next(counter) >= _MAX_MEMBERS:
                raise InputError(f"its modules hold more than {_MAX_MEMBERS:,} tensors and modules")
            if not isinstance(name, str):
                continue
            length = len(prefix) + len(name)
            if length > _MAX_NAME:
                raise InputError(f"one of its tensors has a name of {length:,} characters or more")
            if isinstance(member, Record):
                modules.append((f"{prefix}{name}.", member))
            elif isinstance(member, TensorClaim) and name not in transient:
                tensors[prefix + name] = member
    return tensors


def _is_first_layer(name: str) -> bool:
    return name.rpartition(".")[2] == _FIRST_LAYER


def _rank(name: str) -> tuple[int, int]:
    last = name.rpartition(".")[2]
    place = _STATE_NAMES.index(last) if last in _STATE_NAMES else len(_STATE_NAMES)
    return place, name.count(".")


# Map its tensors to ours.


def _as_ours(tensors: Claims) -> dict[str, TensorClaim]:
    """Return the tensors by our names; refuse a layer that our model lacks."""
    longest = max(map(len, tensors))
    if longest > _MAX_NAME:
        raise InputError(f"one of its tensors has a name of {longest:,} characters")
    [first, *others] = [name for name in tensors if _is_first_layer(name)]
    if others:
        raise InputError(f"it has two LSTMs (tensors {first} and {others[0]}), our model has one")
    lstm = first.removesuffix(_FIRST_LAYER)
    ours: dict[str, TensorClaim] = {}
    theirs: dict[str, str] = {}
    for name, tensor in tensors.items():
        if name.rpartition(".")[2] == _COUNTER:
            continue
        own = _lstm_name(name, lstm) if name.startswith(lstm) else None
        own = own or _layer_name(name)
        if own is None:
            raise InputError(f"its tensor {name} belongs to a layer that our model does not have")
        if own in ours:
            raise InputError(
                f"its tensors {theirs[own]} and {name} are both an {own.replace('.', ' ')}: our "
                "model has one such layer"
            )
        if tensor.storage.type not in _FLOATS:
            raise InputError(f"its tensor {name} holds no numbers with fractions")
        ours[own], theirs[own] = tensor, name
    if "embedding.weight" not in ours:
        raise InputError(
            f"it has no embedding (a tensor such as embedding.weight) among {_listed(tensors)}"
        )
    _check_sharing(ours)
    return ours


def _check_sharing(ours: Claims) -> None:
    """Refuse tensors that overlap: together they have at most twice the numbers of their storages.

    A tied matrix counts twice. Tensors that CUDA has flattened lie side by side in one storage.
    """
    storages = {tensor.storage.key: tensor.storage.num_items for tensor in ours.values()}
    num_numbers = sum(math.prod(tensor.shape) for tensor in ours.values())
    if num_numbers > 2 * sum(storages.values()):
        raise InputError(
            f"its tensors have {num_numbers:,} numbers, and their storages "
            f"{sum(storages.values()):,}: they lie on top of one another"
        )


def _lstm_name(name: str, lstm: str) -> str | None:
    """Return our name of a tensor of the LSTM, None if it is of another layer."""
    last = name.removeprefix(lstm)
    if re.fullmatch(r"(weight|bias)_(ih|hh)_l\d{1,3}", last):
        return f"lstm.{last}"
    if last.endswith("_reverse"):
        raise InputError(f"its LSTM reads in both directions (tensor {name}), our model in one")
    if last.startswith("weight_hr_"):
        raise InputError(f"its LSTM has a projection (proj_size, tensor {name}), our model has not")
    return None


def _layer_name(name: str) -> str | None:
    """Return our name of a tensor of the embedding or the output layer, None if it is neither."""
    *modules, kind = name.split(".")
    if kind not in ("weight", "bias"):
        return None
    # The module's own name first, then those around it: encoder.embedding, decoder.0.
    for module in map(_kind_of_layer, reversed(modules)):
        if module in _OUTPUT:
            return f"fc.{kind}"
        if _EMBEDDING.fullmatch(module) and kind == "weight":
            return "embedding.weight"
        if module:
            return None
    return None


def _kind_of_layer(module: str) -> str:
    """Strip number, capitals and "layer" from a module's name: Embedding, fc1, emb_layer."""
    return module.lower().rstrip("0123456789_").removesuffix("layer").rstrip("_")


def _config(ours: Claims) -> ModelConfig:
    """Return the sizes of the model, by the shapes, which must fit together."""
    embedding_shape = ours["embedding.weight"].shape
    recurrent_shape = ours["lstm.weight_hh_l0"].shape if "lstm.weight_hh_l0" in ours else ()
    if len(embedding_shape) != 2 or len(recurrent_shape) != 2:
        raise InputError("its embedding or its LSTM is not a matrix")
    gates, hidden_size = recurrent_shape
    if gates in (hidden_size, 3 * hidden_size):
        kind = "GRU (three gates)" if gates == 3 * hidden_size else "plain RNN (no gates)"
        raise InputError(f"it is a {kind}, by the sizes of its tensors; our model is an LSTM")
    config = ModelConfig(
        vocabulary_size=embedding_shape[0],
        embedding_size=embedding_shape[1],
        hidden_size=hidden_size,
        num_layers=1 + max(int(n.rpartition("_l")[2]) for n in ours if n.startswith("lstm.")),
    )
    expected = config.tensor_shapes()
    optional = {name for name in expected if "bias" in name or name == "fc.weight"}
    for name in sorted(ours.keys() | (expected.keys() - optional)):
        shape = ours[name].shape if name in ours else None
        if shape != expected.get(name):
            raise InputError(
                f"its tensor {name} (as we call it) is {_sized(shape)}, and should be "
                f"{_sized(expected.get(name))} by the sizes of the others"
            )
    if "fc.weight" not in ours and config.embedding_size != config.hidden_size:
        raise InputError(
            "it has no output layer (a tensor such as fc.weight), and its embedding, of "
            f"{config.embedding_size} numbers a word, cannot serve as one for a hidden state of "
            f"{config.hidden_size}"
        )
    return config


def _sized(shape: tuple[int, ...] | None) -> str:
    return "missing" if shape is None else " x ".join(map(str, shape)) or "a single number"


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    shown = ", ".join(name[:_MAX_SHOWN] for name in names[:_MAX_LISTED])
    return f"{shown}, ..." if len(names) > _MAX_LISTED else shown
