import pytest

from lorelm.corpus.documents import Documents
from lorelm.corpus.preparation import Corpus, prepare_corpus
from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.training.recipe import Recipe


@pytest.fixture(scope="session")
def corpus(tales: Documents, tiny_recipe: Recipe) -> Corpus:
    """The tales, ready for the tiny recipe."""
    return prepare_corpus(
        tales,
        tokenizer=make_tokenizer(tiny_recipe.tokenizer),
        min_frequency=tiny_recipe.min_frequency,
        split_seed=tiny_recipe.split_seed,
    )
