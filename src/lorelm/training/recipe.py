"""A recipe: every setting of a training run, under the names of the command line's flags."""

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Self

from lorelm.corpus.tokenizer import TOKENIZER_STYLES
from lorelm.corpus.vocabulary import VocabularyRules
from lorelm.errors import Problem, RecipeError
from lorelm.parameters import Parameter, parameters_of, problems_of

_BUILT_IN: Final = resources.files("lorelm.training") / "recipes"
BUILT_IN_RECIPES: Final = tuple(
    sorted(file.name.removesuffix(".toml") for file in _BUILT_IN.iterdir())
)

VOCABULARIES: Final = ("own", "base")
SCHEDULES: Final = ("plateau", "cosine")
TRAINING_PRECISIONS: Final = ("auto", "float32", "bfloat16")

EARLIER: Final[Mapping[str, Any]] = {
    "dropout_ramp": 0.0,
    "sampled_words": 0,
    "max_vocabulary": 0,
    "vocabulary": "own",
    "excluded_words": "",
    "unfreezing": 0.0,
}
"""Settings that recipes of version 0.1 do not name, as these had them."""

_FITTED: Final = (
    *("embedding_size", "hidden_size", "dropout", "recurrent_dropout", "batch_size", "shuffle"),
    "epochs",
)
_SIZES: Final = ("embedding_size", "hidden_size")
_NAMES_OF_SETTINGS: Final = ("by_corpus_size", "fitted")


def _count(help_: str, *, most: int = 1_000_000) -> Parameter:
    return Parameter(help_, min=1, max=most)


def _share(help_: str) -> Parameter:
    return Parameter(help_, min=0, below=1)


def _seed(help_: str) -> Parameter:
    return Parameter(help_, min=0, max=2**63 - 1)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All settings of a training run. This is the one place where they are declared.

    Attributes:
        by_corpus_size: names of the settings that :func:`sized_to` still
            fits to the corpus; those that a user gives are not among them.
        fitted: names of the settings that were fitted to the corpus, or to the time.

    Raises:
        RecipeError: values are out of range or of the wrong kind; it names them all.
    """

    tokenizer: Annotated[str, Parameter("Style of the tokenizer.", choices=TOKENIZER_STYLES)]
    min_frequency: Annotated[
        int, _count("Words that the training part has less often become <unk>.")
    ]
    max_vocabulary: Annotated[
        int,
        Parameter(
            "Words of the vocabulary at most, the most frequent ones; 0 takes all.",
            min=0,
            max=1_000_000,
        ),
    ]
    vocabulary: Annotated[
        str,
        Parameter(
            "Whose words a model that starts from another one has: own, those of the corpus; base, "
            "those of the other model too.",
            choices=VOCABULARIES,
        ),
    ]
    excluded_words: Annotated[
        str,
        Parameter(
            "Words, separated by spaces, that are read as <unk> and never written.",
            metavar="WORDS",
        ),
    ]
    embedding_size: Annotated[int, _count("Width of the word embeddings.")]
    hidden_size: Annotated[int, _count("Width of the hidden state of each layer.")]
    num_layers: Annotated[int, _count("Number of LSTM layers.", most=100)]
    tied: Annotated[
        bool,
        Parameter(
            "Share one matrix between embedding and output. If the two sizes differ, a layer after "
            "the LSTM projects one to the other."
        ),
    ]
    dropout: Annotated[
        float,
        _share("Dropout of embeddings, of outputs, and of what one layer passes to the next."),
    ]
    locked_dropout: Annotated[
        bool, Parameter("Use the same dropout mask in all steps of a window.")
    ]
    word_dropout: Annotated[float, _share("Share of words whose embedding is dropped in a window.")]
    recurrent_dropout: Annotated[
        float, _share("Share of recurrent weights that is dropped in a window.")
    ]
    activation_penalty: Annotated[
        float, Parameter("Weight of the mean square of the outputs in the loss.", min=0)
    ]
    temporal_penalty: Annotated[
        float,
        Parameter("Weight of the mean square of the outputs' change between steps.", min=0),
    ]
    schedule: Annotated[
        str,
        Parameter(
            "Schedule of the learning rate: plateau lowers it after an epoch without progress in "
            "validation, cosine along a half wave to a hundredth.",
            choices=SCHEDULES,
        ),
    ]
    learning_rate: Annotated[
        float, Parameter("Adam's learning rate at its highest.", above=0, max=10)
    ]
    learning_rate_decay: Annotated[
        float, Parameter("Factor by which plateau lowers the learning rate.", above=0, below=1)
    ]
    warm_up: Annotated[float, _share("Share of the steps in which cosine rises from zero.")]
    second_moment_decay: Annotated[float, _share("Adam's beta 2.")]
    weight_average: Annotated[
        float,
        _share(
            "Decay of the moving average of the weights, which is validated and saved; 0 is off."
        ),
    ]
    max_gradient_norm: Annotated[
        float, Parameter("Norm to which the gradient is clipped.", above=0)
    ]
    batch_size: Annotated[int, _count("Columns of the corpus that are read side by side.")]
    bptt: Annotated[int, _count("Length of the truncated BPTT window, in tokens.")]
    shuffle: Annotated[bool, Parameter("Read the documents in a new order in each epoch.")]
    epochs: Annotated[int, _count("Number of passes over the training part.")]
    precision: Annotated[
        str,
        Parameter(
            "Precision of matrix products in training; auto is bfloat16 if the processor has it.",
            choices=TRAINING_PRECISIONS,
        ),
    ]
    seed: Annotated[int, _seed("Seed of weights, dropout and document order.")]
    split_seed: Annotated[int, _seed("Seed of the split into training, validation and test part.")]
    dropout_ramp: Annotated[
        float,
        Parameter(
            "Share of the run in which dropout, also of recurrent weights, rises from 0.4 of its "
            "value to all of it; 0 begins with all.",
            min=0,
            max=1,
        ),
    ]
    sampled_words: Annotated[
        int,
        Parameter(
            "Words of the output layer that a training step computes: the most frequent ones, and "
            "a sample of the rest; 0 computes all.",
            min=0,
            max=1_000_000,
        ),
    ]
    unfreezing: Annotated[
        float,
        _share(
            "Starting from a model (init, --init): share of the run after which all layers train. "
            "The words train from the start, then the projection and the layers of the LSTM, the "
            "last one first; 0 trains all at once."
        ),
    ]
    by_corpus_size: tuple[str, ...] = ()
    fitted: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _refuse(problems_of(Recipe, {name: getattr(self, name) for name in parameters_of(Recipe)}))
        for name in self.by_corpus_size:
            if name not in _FITTED:
                raise RecipeError(f"by_corpus_size may name {', '.join(_FITTED)}, and not {name!r}")

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
        given = {name: value for name, value in overrides.items() if value is not None}
        settings = _changed(_read(name_or_path), given)
        by_corpus_size = settings.pop("by_corpus_size")
        _refuse(problems_of(cls, settings, where=f" (recipe {name_or_path})"))
        return cls(**settings | {"by_corpus_size": tuple(by_corpus_size)})

    def vocabulary_rules(self, known: Sequence[str] = ()) -> VocabularyRules:
        """The rules by which the vocabulary is made.

        Args:
            known: words of the model to start from.
        """
        return VocabularyRules(
            min_frequency=self.min_frequency,
            max_words=self.max_vocabulary or None,
            excluded=self.excluded_words.split(),
            known=known if self.vocabulary == "base" else (),
        )

    def at_width(self, hidden_size: int) -> Self:
        """Return the recipe with this hidden size; a tied embedding keeps its share of it."""
        embedding_size = self.embedding_size
        if self.tied:
            embedding_size = max(1, round(embedding_size * hidden_size / self.hidden_size))
        return dataclasses.replace(self, hidden_size=hidden_size, embedding_size=embedding_size)

    def to_dict(self) -> dict[str, Any]:
        """The settings, fit for JSON; those that are still to be fitted, or were, are named."""
        names = {name: list(getattr(self, name)) for name in _NAMES_OF_SETTINGS}
        return dataclasses.asdict(self) | names

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """The recipe of which :meth:`to_dict` made this, in this version or an earlier one."""
        names = {name: tuple(settings.get(name, ())) for name in _NAMES_OF_SETTINGS}
        return cls(**{**EARLIER, **settings, **names})


def given_settings(name_or_path: str, **overrides: Any) -> set[str]:
    """The names of the settings that a user gives: in a TOML file, or by an override.

    Raises:
        RecipeError: there is no such recipe, or the file is not TOML.
    """
    in_file = {} if name_or_path in BUILT_IN_RECIPES else _read_file(Path(name_or_path))
    given = {name for name, value in overrides.items() if value is not None}
    return given | (in_file.keys() - {"base"})


def describe_recipe(settings: Mapping[str, Any]) -> str:
    """Return the built-in recipe that is nearest to settings, and what differs from it.

    What was fitted to the corpus, the time or the machine counts as no difference. A setting that
    the recipe would fit, and a user gave, counts as one, whatever its value.
    """
    differences = {name: _differences(settings, _read(name)) for name in BUILT_IN_RECIPES}
    nearest = min(differences, key=lambda name: len(differences[name]))
    return ", ".join([nearest, *(f"{k} {v}" for k, v in differences[nearest].items())])


def _differences(settings: Mapping[str, Any], recipe: Mapping[str, Any]) -> dict[str, Any]:
    free = set(recipe["by_corpus_size"])
    given = free.difference(settings.get("fitted", free))  # unknown of earlier versions' runs
    ignored = {*free, "by_corpus_size", "precision"} - given
    return {
        name: settings[name]
        for name, value in recipe.items()
        if name in settings and name not in ignored and (name in given or settings[name] != value)
    }


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
    changed, fixed = settings | given, set(given)
    sizes = fixed & set(_SIZES)
    if sizes:
        fixed |= set(_SIZES)
    if changed["tied"] is True and len(sizes) == 1:
        changed |= dict.fromkeys(_SIZES, given[sizes.pop()])
    # What is given is no longer fitted to the corpus.
    changed["by_corpus_size"] = [name for name in changed["by_corpus_size"] if name not in fixed]
    return changed


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        raise RecipeError.of(problems, code="recipe.settings")
