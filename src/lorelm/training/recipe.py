"""A recipe: every setting of a training run, under the names of the command line's flags."""

import dataclasses
import difflib
import tomllib
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


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All settings of a training run.

    Attributes:
        tokenizer: style of the tokenizer.
        min_frequency: words seen less often in the training part become `<unk>`.
        embedding_size: width of a word's vector.
        hidden_size: width of the hidden state of each layer.
        num_layers: how many LSTM layers.
        dropout: share of the embeddings, of what passes between layers, and of the outputs that
            is dropped in training.
        learning_rate: Adam's, at the start.
        learning_rate_decay: the learning rate is multiplied by it after an epoch without progress
            in validation.
        max_gradient_norm: the gradient's norm is clipped here.
        batch_size: how many columns of the corpus are read side by side.
        bptt: length of the truncated BPTT window, in tokens.
        epochs: how often the training part is read.
        seed: of the weights and of dropout.
        split_seed: of the split into training, validation and test.

    Raises:
        RecipeError: a value is out of its range or of the wrong kind.
    """

    tokenizer: str
    min_frequency: int
    embedding_size: int
    hidden_size: int
    num_layers: int
    dropout: float
    learning_rate: float
    learning_rate_decay: float
    max_gradient_norm: float
    batch_size: int
    bptt: int
    epochs: int
    seed: int
    split_seed: int

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check_kind(field.name, field.type, getattr(self, field.name))
        if self.tokenizer not in TOKENIZER_STYLES:
            raise RecipeError(
                f"tokenizer must be one of {', '.join(TOKENIZER_STYLES)}, not {self.tokenizer!r}"
            )
        for name in (
            *("min_frequency", "embedding_size", "hidden_size", "num_layers"),
            *("batch_size", "bptt", "epochs"),
        ):
            _require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        for name in ("seed", "split_seed"):
            value = getattr(self, name)
            _require(0 <= value < 2**63, name, "from 0 to 2**63 - 1", value)
        _require(0 <= self.dropout < 1, "dropout", "from 0 up to but not 1", self.dropout)
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
        are None are passed over.

        Raises:
            RecipeError: there is no such recipe, the file is not TOML, or a setting is unknown or
                out of range.
        """
        settings = _read(name_or_path)
        settings |= {name: value for name, value in overrides.items() if value is not None}
        known = [field.name for field in dataclasses.fields(cls)]
        for name in settings:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = (
                    f"did you mean {close[0]}?" if close else f"the settings are {', '.join(known)}"
                )
                raise RecipeError(f"recipe {name_or_path} has an unknown setting {name!r}: {hint}")
        return cls(**settings)

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def _read(name_or_path: str) -> dict[str, Any]:
    if name_or_path in BUILT_IN_RECIPES:
        return tomllib.loads((_BUILT_IN / f"{name_or_path}.toml").read_text(encoding="utf-8"))
    path = Path(name_or_path)
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise RecipeError(
            f"there is no recipe {name_or_path!r}: name one of {', '.join(BUILT_IN_RECIPES)}, or "
            "a TOML file"
        ) from error
    except OSError as error:
        raise RecipeError(f"recipe {path} cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"recipe {path} is not TOML: {error}") from error
    base = settings.pop("base", "default")
    if base not in BUILT_IN_RECIPES:
        raise RecipeError(
            f"recipe {path} is based on {base!r}, which is none of {', '.join(BUILT_IN_RECIPES)}"
        )
    return _read(base) | settings


def _check_kind(name: str, kind: Any, value: object) -> None:
    accepted = (float, int) if kind is float else (kind,)
    if type(value) not in accepted:
        noun = {int: "a whole number", float: "a number", str: "a word"}[kind]
        raise RecipeError(f"{name} must be {noun}, not {value!r}")


def _require(condition: bool, name: str, allowed: str, value: object) -> None:
    if not condition:
        raise RecipeError(f"{name} must be {allowed}, not {value!r}")
