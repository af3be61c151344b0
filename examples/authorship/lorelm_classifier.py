"""A classifier of texts for scikit-learn: a LoreLM model that has learned who says what."""

import tempfile
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import lorelm

import numpy as np
import polars
from scipy.special import log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils import Tags, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted


class LoreLMClassifier(TransformerMixin, ClassifierMixin, BaseEstimator):
    """Find the class of a text by Bayes' rule: the class that is likeliest to have said it.

    One language model is trained, in which each class is a speaker and each text a line. Then

        log P(class | text) = log P(text | class) + log P(class) + a constant.

    Args:
        init: the model to start from, such as "english"; "none" starts from random weights.
        epochs: how often the texts are read.
        settings: other settings of ``lorelm.train``, such as ``{"hidden_size": 200}``.

    Attributes:
        classes_: the classes, sorted.
        class_log_prior_: the logarithm of each class's share of the texts.
        bundle_: the files of the model by name, so that a fitted classifier can be pickled.
    """

    def __init__(
        self, *, init: str = "none", epochs: int = 8, settings: dict[str, Any] | None = None
    ) -> None:
        self.init = init
        self.epochs = epochs
        self.settings = settings

    def fit(self, X: Iterable[str], y: Sequence[Any]) -> Self:
        """Train the model. Raises ValueError for what are no texts, or a single class."""
        texts, labels = checked_texts(X), column_or_1d(y)
        check_consistent_length(texts, labels)
        check_classification_targets(labels)
        self.classes_, of_class, counts = np.unique(labels, return_inverse=True, return_counts=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y has one class, {self.classes_[0]!r}: at least two are needed")
        self.class_log_prior_ = np.log(counts / len(texts))
        lines = polars.DataFrame(
            {
                "speaker": [speaker(number) for number in of_class],
                "line": texts,
                "scene": range(len(texts)),  # one a line: no line follows another
            }
        )
        with tempfile.TemporaryDirectory() as folder:
            bundle = lorelm.train(
                lines,
                out=Path(folder, "model"),
                **{"text_column": "line", "speaker_column": "speaker", "scene_column": "scene"},
                **{"init": self.init, "epochs": self.epochs, "serving_only": True},
                **self.settings or {},
            )
            self.bundle_ = {path.name: path.read_bytes() for path in bundle.path.iterdir()}
        self.__dict__.pop("_model", None)
        return self

    def predict_log_proba(self, X: Iterable[str]) -> np.ndarray:
        """Return log P(class | text), shape (texts, classes)."""
        log_likelihoods, _ = self._score(X)
        return log_softmax(log_likelihoods + self.class_log_prior_, axis=1)

    def predict_proba(self, X: Iterable[str]) -> np.ndarray:
        """Return P(class | text). A language model is surer than it should be."""
        return np.exp(self.predict_log_proba(X))

    def predict(self, X: Iterable[str]) -> np.ndarray:
        """Return the likeliest class of each text."""
        likeliest = self.predict_log_proba(X).argmax(axis=1)
        return self.classes_[likeliest]

    def transform(self, X: Iterable[str]) -> np.ndarray:
        """Return the mean log-probability of a token by each class, as features for others."""
        log_likelihoods, num_tokens = self._score(X)
        return log_likelihoods / num_tokens[:, None]

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        check_is_fitted(self)
        return np.array([f"log_probability_{name}" for name in self.classes_], dtype=object)

    def _score(self, X: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return log P(text | class), shape (texts, classes), and the tokens of each text."""
        check_is_fitted(self)
        texts = checked_texts(X)
        sums = np.zeros((len(texts), len(self.classes_)))
        num_tokens = np.ones(len(texts), dtype=int)
        for row, text in enumerate(texts):
            for number in range(len(self.classes_)):
                _, *tokens = self._model.score(f"{speaker(number)}: {text}")  # without the name
                sums[row, number] = sum(token.log_probability or 0 for token in tokens)
                num_tokens[row] = max(1, len(tokens))
        return sums, num_tokens

    @cached_property
    def _model(self) -> lorelm.LanguageModel:
        with tempfile.TemporaryDirectory() as folder:
            for name, content in self.bundle_.items():
                Path(folder, name).write_bytes(content)
            return lorelm.load(folder)

    def __getstate__(self) -> dict[str, Any]:
        return {name: each for name, each in super().__getstate__().items() if name != "_model"}

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags


def speaker(number: int) -> str:
    """Return a class's name in the model, whatever the class is: a number, a text, a truth."""
    return f"CLASS {number}"


def checked_texts(X: Iterable[str]) -> list[str]:
    """Return texts as they are read: one line each. Raises ValueError for what is no text."""
    if isinstance(X, str):
        raise ValueError("X must be several texts, not one")
    texts = list(X)
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"X[{number}] must be a text, not {text!r}")
    return [" ".join(text.split()) for text in texts]
