"""A recipe: every setting of a training run, under the names of the command line's flags."""

import dataclasses
import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final, Self

from lorelm.corpus.tokenizer import TOKENIZER_STYLES
from lorelm.errors import RecipeError

_BUILT_IN: Final = resources.files("lorelm.training") / "recipes"
BUILT_IN_RECIPES: Final = tuple(
    sorted(file.name.removesuffix(".toml") for file in _BUILT_IN.iterdir())
)

SCHEDULES: Final = ("plateau", "cosine")
TRAINING_PRECISIONS: Final = ("auto", "float32", "bfloat16")

_FITTED: Final = (
    *("embedding_size", "hidden_size", "dropout", "recurrent_dropout", "shuffle", "epochs"),
)
_SIZES: Final = ("embedding_size", "hidden_size")
_MOST: Final = 1_000_000
_MOST_LAYERS: Final = 100
_COUNTS: Final = (
    *("min_frequency", "embedding_size", "hidden_size", "num_layers"),
    *("batch_size", "bptt", "epochs"),
)
_SHARES: Final = (
    *("dropout", "word_dropout", "recurrent_dropout"),
    *("warm_up", "second_moment_decay", "weight_average"),
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All settings of a training run.

    Attributes:
        tokenizer: style of the tokenizer.
        min_frequency: words seen less often in the training part become `<unk>`.
        embedding_size: width of a word's vector.
        hidden_size: width of the hidden state of each layer.
        num_layers: how many LSTM layers.
        tied: whether the matrix that embeds the words gives their logits too; the two sizes are
            then one.
        dropout: share of the embeddings, of what passes between layers, and of the outputs that
            is dropped in training.
        locked_dropout: whether what is dropped stays the same for all steps of a window.
        word_dropout: share of the words whose vector is dropped for a whole window.
        recurrent_dropout: share of the recurrent weights that is dropped for a whole window.
        activation_penalty: weight of the mean square of the outputs in the loss.
        temporal_penalty: weight of the mean square of their change from step to step.
        schedule: of the learning rate: ``plateau`` lowers it after an epoch without progress in
            validation, ``cosine`` along a half wave to a hundredth.
        learning_rate: Adam's, at the start; at the end of the warm-up for ``cosine``.
        learning_rate_decay: the factor of ``plateau``.
        warm_up: share of the steps in which ``cosine`` rises from zero.
        second_moment_decay: Adam's beta 2.
        weight_average: decay of the moving average of the weights, which is what is validated and
            kept; 0 keeps the weights themselves.
        max_gradient_norm: the gradient's norm is clipped here.
        batch_size: how many columns of the corpus are read side by side.
        bptt: length of the truncated BPTT window, in tokens.
        shuffle: whether each epoch reads the documents in another order.
        epochs: how often the training part is read.
        precision: of the products in training: ``float32``, ``bfloat16``, or ``auto``, which is
            bfloat16 where the processor has it.
        seed: of the weights, of dropout and of the order of the documents.
        split_seed: of the split into training, validation and test.
        by_corpus_size: names of the settings that :func:`lorelm.training.sizing.sized_to` still
            fits to the corpus; what is given by hand is none of them.

    Raises:
        RecipeError: a value is out of its range or of the wrong kind.
    """

    tokenizer: str
    min_frequency: int
    embedding_size: int
    hidden_size: int
    num_layers: int
    tied: bool
    dropout: float
    locked_dropout: bool
    word_dropout: float
    recurrent_dropout: float
    activation_penalty: float
    temporal_penalty: float
    schedule: str
    learning_rate: float
    learning_rate_decay: float
    warm_up: float
    second_moment_decay: float
    weight_average: float
    max_gradient_norm: float
    batch_size: int
    bptt: int
    shuffle: bool
    epochs: int
    precision: str
    seed: int
    split_seed: int
    by_corpus_size: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if field.name != "by_corpus_size":
                _check_kind(field.name, field.type, getattr(self, field.name))
        self._check_words()
        self._check_numbers()
        if self.tied and self.embedding_size != self.hidden_size:
            raise RecipeError(
                f"a tied model has one size for both: embedding_size is {self.embedding_size} and "
                f"hidden_size {self.hidden_size}; make them the same, or set tied to false "
                "(--no-tied)"
            )

    def _check_words(self) -> None:
        for name, allowed in (
            ("tokenizer", TOKENIZER_STYLES),
            ("schedule", SCHEDULES),
            ("precision", TRAINING_PRECISIONS),
        ):
            value = getattr(self, name)
            if value not in allowed:
                raise RecipeError(f"{name} must be one of {', '.join(allowed)}, not {value!r}")
        for name in self.by_corpus_size:
            if name not in _FITTED:
                raise RecipeError(f"by_corpus_size may name {', '.join(_FITTED)}, and not {name!r}")

    def _check_numbers(self) -> None:
        for name in _COUNTS:
            value = getattr(self, name)
            most = _MOST_LAYERS if name == "num_layers" else _MOST
            _require(1 <= value <= most, name, f"from 1 to {most:,}", value)
        for name in ("seed", "split_seed"):
            value = getattr(self, name)
            _require(0 <= value < 2**63, name, "from 0 to 2**63 - 1", value)
        for name in _SHARES:
            value = getattr(self, name)
            _require(0 <= value < 1, name, "from 0 up to but not 1", value)
        for name in ("activation_penalty", "temporal_penalty"):
            value = getattr(self, name)
            _require(0 <= value < float("inf"), name, "at least 0", value)
        rate, norm = self.learning_rate, self.max_gradient_norm
        _require(0 < rate <= 10, "learning_rate", "above 0 and at most 10", rate)
        _require(0 < norm < float("inf"), "max_gradient_norm", "above 0", norm)
        decay = self.learning_rate_decay
        _require(0 < decay < 1, "learning_rate_decay", "between 0 and 1", decay)

    @classmethod
    def load(cls, name_or_path: str, **overrides: Any) -> Self:
        """The built-in recipe of that name, or the recipe in that TOML file.

        A file holds any of the settings and may say ``base = "classic"`` to name the built-in
        recipe that has the others (``default`` if it does not). `overrides` come last; those that
        are None are passed over. Of a tied model, one of the two sizes stands for both.

        Raises:
            RecipeError: there is no such recipe, the file is not TOML, or a setting is unknown or
                out of range.
        """
        settings = _read(name_or_path)
        given = {name: value for name, value in overrides.items() if value is not None}
        settings = _changed(settings, given)
        known = [field.name for field in dataclasses.fields(cls)]
        known.remove("by_corpus_size")
        by_corpus_size = settings.pop("by_corpus_size")
        for name in settings:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = (
                    f"did you mean {close[0]}?" if close else f"the settings are {', '.join(known)}"
                )
                raise RecipeError(f"recipe {name_or_path} has an unknown setting {name!r}: {hint}")
        return cls(**settings | {"by_corpus_size": tuple(by_corpus_size)})

    def to_dict(self) -> dict[str, Any]:
        """The settings, fit for JSON; those that are still to be fitted are named."""
        return dataclasses.asdict(self) | {"by_corpus_size": list(self.by_corpus_size)}

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """The recipe of which :meth:`to_dict` made this."""
        return cls(**{**settings, "by_corpus_size": tuple(settings["by_corpus_size"])})


def given_settings(name_or_path: str, **overrides: Any) -> set[str]:
    """The names of the settings that a user gives: in a TOML file, or by an override.

    Raises:
        RecipeError: there is no such recipe, or the file is not TOML.
    """
    in_file = {} if name_or_path in BUILT_IN_RECIPES else _read_file(Path(name_or_path))
    given = {name for name, value in overrides.items() if value is not None}
    return given | (in_file.keys() - {"base"})


def _read(name_or_path: str) -> dict[str, Any]:
    if name_or_path in BUILT_IN_RECIPES:
        text = (_BUILT_IN / f"{name_or_path}.toml").read_text(encoding="utf-8")
        return {"by_corpus_size": []} | tomllib.loads(text)
    settings = _read_file(Path(name_or_path))
    base = settings.pop("base", "default")
    if base not in BUILT_IN_RECIPES:
        raise RecipeError(
            f"recipe {name_or_path} is based on {base!r}, which is none of "
            f"{', '.join(BUILT_IN_RECIPES)}"
        )
    fitted = settings.get("by_corpus_size", [])
    if not isinstance(fitted, list) or not all(isinstance(name, str) for name in fitted):
        raise RecipeError(f"by_corpus_size must be a list of names of settings, not {fitted!r}")
    return _changed(_read(base), settings)


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise RecipeError(
            f"there is no recipe {str(path)!r}: name one of {', '.join(BUILT_IN_RECIPES)}, or "
            "a TOML file"
        ) from error
    except OSError as error:
        raise RecipeError(f"recipe {path} cannot be read: {error.strerror or error}") from error
    # ValueError: not TOML, not UTF-8, or a number of thousands of digits.
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"recipe {path} is not TOML: {error}") from error


def _changed(settings: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The settings with those that are given in their place."""
    changed = settings | given
    # What is given is no longer fitted to the corpus.
    changed["by_corpus_size"] = [name for name in changed["by_corpus_size"] if name not in given]
    sizes = given.keys() & set(_SIZES)
    if changed["tied"] is True and len(sizes) == 1:
        changed |= dict.fromkeys(_SIZES, given[next(iter(sizes))])
    if sizes:
        changed["by_corpus_size"] = [n for n in changed["by_corpus_size"] if n not in _SIZES]
    return changed


_NOUNS: Final = {
    int: "a whole number",
    float: "a number",
    str: "a word",
    bool: "true or false",
}


def _check_kind(name: str, kind: Any, value: object) -> None:
    accepted = (float, int) if kind is float else (kind,)
    if type(value) not in accepted:
        noun = _NOUNS[kind]
        raise RecipeError(f"{name} must be {noun}, not {value!r}")


def _require(condition: bool, name: str, allowed: str, value: object) -> None:
    if not condition:
        raise RecipeError(f"{name} must be {allowed}, not {value!r}")
