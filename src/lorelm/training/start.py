"""What training starts from: the base model, another trained model, or random weights.

Nothing here needs PyTorch, so mistakes are found before it is imported.
"""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from lorelm.bundle import EMBEDDED_NAME, Bundle
from lorelm.corpus.documents import Documents
from lorelm.corpus.special_tokens import speaker_name
from lorelm.corpus.subwords import has_tokenizers, is_without_spaces
from lorelm.corpus.tokenizer import SubwordTokenizer, WordsTokenizer, is_word, make_tokenizer
from lorelm.corpus.vocabulary import letters, straight
from lorelm.errors import BundleError, Problem, RecipeError
from lorelm.training.recipe import Recipe, given_settings

NONE: Final = "none"
"""Training that starts from random weights."""

BASE_VARIABLE: Final = "LORELM_BASE"
"""Environment variable: what training starts from where nothing else is said."""

MIN_KNOWN_SHARE: Final = 0.6
"""Of the words of a corpus, for a model to be of its language. English knows 86 % of the films,
78 % of Python source, and 33 % of Spanish, the nearest of ten other languages (decision 34)."""

ARCHITECTURE_FIELDS: Final = ("embedding_size", "hidden_size", "num_layers", "tied")
"""The settings of a recipe that the initial checkpoint determines."""

_FINE_TUNE: Final = "fine-tune"
_FROM_SCRATCH: Final = "default"

_COUNTED_DOCUMENTS: Final = 500
_COUNTED_WORDS: Final = 20_000


@dataclass(frozen=True, kw_only=True)
class Start:
    """What was chosen.

    Attributes:
        init: the bundle to start from; None: random weights.
        documents: with a note of what was chosen for them, and why.
    """

    init: str | None
    recipe: Recipe
    documents: Documents


@dataclass(frozen=True, kw_only=True)
class StartSettings:
    """What a user says about the start of training.

    Attributes:
        init: a bundle, or :data:`NONE`; None: the base model, where that helps.
        recipe: a name or the path of a TOML file; None: the one that suits the start.
        changes: the settings of the recipe that are given; None counts as not given.
    """

    init: str | None = None
    recipe: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Find mistakes before the corpus is read, which may take long.

        Raises:
            RecipeError: there is no such recipe, or a setting is out of range or does not go with
                the model to start from; it names them all.
            BundleError: there is no such model, or it cannot be trained.
        """
        self.check_recipe()
        self._check_without_model()
        if (path := self._allowed_model) is not None:
            check_initial_checkpoint(path, self._given)

    def check_recipe(self) -> Recipe:
        """Return the recipe if training starts from the model that is named, or may be.

        Raises:
            RecipeError: see :meth:`check`.
        """
        return self._recipe(self._allowed_model is not None)

    def choose(self, documents: Documents) -> Start:
        """Choose for a corpus.

        Raises:
            BundleError: the base model is missing or damaged.
        """
        path, why_not = self._model, self._reason_for_scratch
        notes = []
        if path is not None and why_not is None and self.init is None:
            share = known_share(documents, Bundle.load(path))
            if share < MIN_KNOWN_SHARE:
                why_not = f"the model {path} knows only {share:.0%} of the words"
            else:
                notes.append(
                    f"Training starts from the model {path}, which knows {share:.0%} of the words; "
                    "--init none (init) starts from scratch."
                )
        if self.init is None and path is not None and why_not is not None:
            notes.append(f"Training starts from scratch: {why_not}.")
        init = None if why_not else path
        recipe, more_notes = self._for_script(self._recipe(init is not None), documents)
        notes += more_notes
        return Start(
            init=init,
            recipe=recipe,
            documents=replace(documents, notes=[*documents.notes, *notes]),
        )

    def _check_without_model(self) -> None:
        """Refuse settings that say how to start from a model where training starts from none."""
        if self._allowed_model is not None:
            return
        needing = {
            "vocabulary": self.changes.get("vocabulary") == "base",
            "unfreezing": bool(self.changes.get("unfreezing")),
        }
        problems = [
            Problem(name, f"leave it out (--{name}), since training starts from no model")
            for name, needs_model in needing.items()
            if needs_model
        ]
        if problems:
            raise RecipeError.of(problems, code="recipe.needs_init")

    @property
    def _model(self) -> str | None:
        named = self.init
        if named is None:
            named = os.environ.get(BASE_VARIABLE) or EMBEDDED_NAME
        return None if named == NONE else named

    @property
    def _allowed_model(self) -> str | None:
        """The model, unless the settings rule it out; the text may do so yet."""
        return None if self._reason_for_scratch else self._model

    @property
    def _given(self) -> set[str]:
        return given_settings(self.recipe or _FROM_SCRATCH, **self.changes)

    @property
    def _reason_for_scratch(self) -> str | None:
        """Return why the settings, which name no model, rule one out."""
        if self.init is not None:
            return None
        if self.recipe not in (None, _FINE_TUNE):
            return f"recipe {self.recipe} is given, and --init (init) is not"
        sizes = [name for name in ARCHITECTURE_FIELDS if name in self._given]
        return f"{', '.join(sizes)} would not fit the model {self._model}" if sizes else None

    def _recipe(self, is_fine_tuning: bool) -> Recipe:
        name = self.recipe or (_FINE_TUNE if is_fine_tuning else _FROM_SCRATCH)
        return Recipe.load(name, **self.changes)

    def _for_script(self, recipe: Recipe, documents: Documents) -> tuple[Recipe, list[str]]:
        """Return the recipe with pieces of words for a script without spaces, and why."""
        is_free = self.recipe is None and "tokenizer" not in self._given
        if not is_free or not is_without_spaces(_sample(documents)):
            return recipe, []
        why = "The text has no spaces between words"
        if not has_tokenizers():
            return recipe, [
                f'{why}: pip install "lorelm[subword]" lets training cut it in pieces of words.'
            ]
        note = f"{why}, so it is cut in pieces of words (tokenizer, --tokenizer subword)."
        return replace(recipe, tokenizer=SubwordTokenizer.style), [note]


def load_initial_checkpoint(path: str | Path) -> Bundle:
    """Load the bundle to start training from.

    Raises:
        BundleError: it is missing or damaged, has no weights, or some are NaN or infinite.
        MissingExtraError: the package ``safetensors`` is not installed.
    """
    bundle = Bundle.load(path)
    for name, array in bundle.weights().items():  # checked before the corpus is read
        if not np.isfinite(array).all():
            raise BundleError(
                f"{path} cannot be trained on: {name} in its weights holds values that are no "
                "numbers (NaN or infinite)",
                code="bundle.weights_not_finite",
            )
    return bundle


def check_initial_checkpoint(path: str | Path, given: Collection[str]) -> None:
    """Refuse an initial checkpoint that cannot be trained, and architecture settings beside it.

    Args:
        given: names of the settings that a user gives.

    Raises:
        BundleError: see :func:`load_initial_checkpoint`.
        RecipeError: architecture settings are given; it names them all.
    """
    load_initial_checkpoint(path)
    problems = [
        Problem(
            name,
            f"leave it out (--{name.replace('_', '-')}), since init (--init) starts from a model "
            "whose size is fixed",
        )
        for name in ARCHITECTURE_FIELDS
        if name in given
    ]
    if problems:
        raise RecipeError.of(problems, code="recipe.fixed_by_init")


def known_words(bundle: Bundle | None, style: str) -> list[str]:
    """Return the words of a trained model as tokens of a style, the most frequent first.

    Speakers are left out; so is what the style cuts in pieces, or loses. Without a model there are
    none.
    """
    if bundle is None:
        return []
    words = [word for word in bundle.vocabulary.words[2:] if speaker_name(word) is None]
    if style == bundle.tokenizer.style:
        return words
    if style == SubwordTokenizer.style:
        return []  # which pieces a text has is learned from it
    tokenizer = make_tokenizer(style)
    spellings = (straight(bundle.tokenizer.piece(word, None)) for word in words)
    found = [tokens for tokens in map(tokenizer.tokenize, spellings) if len(tokens) == 1]
    return list(dict.fromkeys(token for (token,) in found))


def known_share(documents: Documents, bundle: Bundle) -> float:
    """Return the share of a corpus's words that a model knows, by a sample; 0 without any."""
    known = {letters(bundle.tokenizer.piece(word, None)) for word in bundle.vocabulary.words}
    tokens = WordsTokenizer().tokenize(_sample(documents))
    words = list(islice(filter(is_word, tokens), _COUNTED_WORDS))
    return sum(letters(word) in known for word in words) / max(1, len(words))


def _sample(documents: Documents) -> str:
    """Return documents from all over a corpus, or the first ones of a streamed one."""
    texts = documents.texts
    step = 1 if documents.is_streamed else max(1, len(texts) // _COUNTED_DOCUMENTS)
    return "\n".join(islice(texts, 0, step * _COUNTED_DOCUMENTS, step))
