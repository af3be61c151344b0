"""The classifier in scikit-learn's own hands, and the comparison of authors."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.examples.folders import EXAMPLES, imported

pytest.importorskip("sklearn", reason="no scikit-learn: pip install 'lorelm[examples]'")
from sklearn.base import clone
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks

FOLDER = EXAMPLES / "authorship"
LoreLMClassifier = imported(FOLDER / "lorelm_classifier.py").LoreLMClassifier

pytestmark = [pytest.mark.system, pytest.mark.slow]

TINY = {
    "embedding_size": 16,
    "hidden_size": 16,
    "batch_size": 4,
    "dropout": 0.1,
    "min_frequency": 1,
}
PLACES = ("mill", "river", "bridge", "hill", "barn", "old oak", "village", "well")


def sentences_of(author: str) -> list[str]:
    """Two authors of the same things: one tells, and the other one asks and exclaims."""
    animals = ("fox", "hare", "owl", "toad", "wren", "mole")
    manners = {
        "ann": ("The {} sat by the {}.", "Then the {} went quietly over the {}."),
        "ben": ("Oh, where is the {} at the {}?", "Look, my {}, look at the {}!"),
    }
    forms = manners[author]
    return [form.format(a, p) for form in forms for a in animals for p in PLACES]


TEXTS = np.array([*sentences_of("ann"), *sentences_of("ben")])
AUTHORS = np.repeat(["ann", "ben"], len(TEXTS) // 2)


@pytest.fixture(scope="module")
def fitted() -> LoreLMClassifier:
    return LoreLMClassifier(epochs=4, settings=TINY).fit(TEXTS[::2], AUTHORS[::2])


def test_it_tells_authors_apart_on_texts_that_it_has_not_read(fitted: LoreLMClassifier) -> None:
    assert fitted.score(TEXTS[1::2], AUTHORS[1::2]) > 0.9
    probabilities = fitted.predict_proba(TEXTS[1::2])
    assert probabilities.sum(axis=1) == pytest.approx(1)
    assert fitted.classes_[probabilities.argmax(axis=1)].tolist() == list(
        fitted.predict(TEXTS[1::2])
    )


def test_probabilities_are_those_of_the_model_by_bayes_rule(fitted: LoreLMClassifier) -> None:
    text = "The fox sat by the mill."
    joint = [
        np.exp(prior + sum(token.log_probability for token in fitted._model.score(line)[1:]))
        for prior, line in zip(
            fitted.class_log_prior_, [f"CLASS 0: {text}", f"CLASS 1: {text}"], strict=True
        )
    ]
    assert fitted.predict_proba([text])[0] == pytest.approx(joint / np.sum(joint))


def test_its_features_serve_another_classifier(fitted: LoreLMClassifier) -> None:
    features = fitted.transform(TEXTS)
    assert features.shape == (len(TEXTS), 2)
    assert (features < 0).all()
    assert list(fitted.get_feature_names_out()) == ["log_probability_ann", "log_probability_ben"]
    regression = LogisticRegression().fit(features[::2], AUTHORS[::2])
    assert regression.score(features[1::2], AUTHORS[1::2]) > 0.9


def test_a_fitted_one_can_be_pickled(fitted: LoreLMClassifier) -> None:
    fitted.predict(TEXTS[:1])  # with the model loaded
    restored = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(restored.predict_proba(TEXTS[:4]), fitted.predict_proba(TEXTS[:4]))


def test_in_a_pipeline_with_naive_bayes_under_cross_validation() -> None:
    votes = VotingClassifier(
        [
            ("bayes", make_pipeline(CountVectorizer(), MultinomialNB())),
            ("lorelm", LoreLMClassifier(epochs=3, settings=TINY)),
        ],
        voting="soft",
    )
    lower = FunctionTransformer(lambda texts: [text.lower() for text in texts])
    scores = cross_val_score(make_pipeline(lower, votes), TEXTS, AUTHORS, cv=2)
    assert scores.shape == (2,)
    assert scores.min() > 0.8


@pytest.mark.parametrize("classes", [[0, 1, 2], [True, False], ["café", "x: y", ""]])
def test_a_class_is_anything(classes: list[object]) -> None:
    labels = np.resize(classes, len(TEXTS))
    fitted = LoreLMClassifier(epochs=1, settings=TINY).fit(TEXTS, labels)
    assert set(fitted.predict(TEXTS[:3])) <= set(classes)
    assert fitted.predict_proba(TEXTS[:3]).shape == (3, len(classes))


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        ("The fox.", ["a"], "several texts, not one"),
        (["The fox.", 3], ["a", "b"], r"X\[1\] must be a text, not 3"),
        (["The fox.", "The owl."], ["a", "a"], "one class"),
        (["The fox."], ["a", "b"], "inconsistent numbers of samples"),
        (["The fox.", "The owl."], [0.5, 1.5], "label type"),
    ],
)
def test_what_cannot_be_learned_is_named(X: object, y: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LoreLMClassifier().fit(X, y)


@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_estimator_cloneable,
        estimator_checks.check_estimator_repr,
        estimator_checks.check_estimator_tags_renamed,
        estimator_checks.check_valid_tag_types,
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
        estimator_checks.check_mixin_order,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_set_params,
        estimator_checks.check_parameters_default_constructible,
    ],
    ids=lambda check: check.__name__,
)
def test_it_passes_the_checks_of_scikit_learn(check: object) -> None:
    """Those that give it no numbers: the others are for estimators of tables."""
    check("LoreLMClassifier", LoreLMClassifier())


def test_fitting_keeps_the_conventions_of_scikit_learn(fitted: LoreLMClassifier) -> None:
    """What scikit-learn checks with tables, with texts."""
    with pytest.raises(NotFittedError):
        LoreLMClassifier().predict(TEXTS)
    with pytest.raises(NotFittedError):
        clone(fitted).transform(TEXTS)
    again = clone(fitted)
    assert again.fit(TEXTS[::2], AUTHORS[::2]) is again
    assert again.get_params() == fitted.get_params()
    own = set(vars(again)) - set(again.get_params())
    assert all(name.endswith("_") for name in own)
    assert np.array_equal(again.predict_proba(TEXTS[:5]), fitted.predict_proba(TEXTS[:5]))
    backwards = again.predict_proba(TEXTS[4::-1])
    assert np.array_equal(backwards[::-1], fitted.predict_proba(TEXTS[:5]))


def compare(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, FOLDER / "who_wrote_it.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_comparison_tells_how_often_each_is_right(tmp_path: Path) -> None:
    for author in ("ann", "ben"):
        (tmp_path / author).mkdir()
        for book, part in (("first", slice(0, None, 2)), ("second", slice(1, None, 2))):
            long = [f"{text[:-1]} in the cold grey evening." for text in sentences_of(author)]
            (tmp_path / author / f"{author}-{book}.txt").write_text("\n\n".join(long[part]))
    ended = compare(tmp_path, "--epochs", "2")
    assert ended.returncode == 0, ended.stderr
    first, *rows = ended.stdout.splitlines()
    assert first == "192 sentences, 4 books, 2 authors"
    assert [row[:12].strip() for row in rows] == ["naive Bayes", "LoreLM", "both"]
    assert all(0.5 < float(row[12:19].strip(" %")) / 100 <= 1 for row in rows)


def test_the_comparison_needs_two_authors(tmp_path: Path) -> None:
    ended = compare(tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"{tmp_path} needs two folders")
