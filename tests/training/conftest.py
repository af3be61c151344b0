import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

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
        vocabulary=tiny_recipe.vocabulary_rules(),
        split_seed=tiny_recipe.split_seed,
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of a megabyte, as far as we may mount one."""
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(path)]
    if (
        not shutil.which("mount")
        or subprocess.run(command, check=False, capture_output=True).returncode
    ):
        pytest.skip("a small disk cannot be mounted here (root may)")
    yield path
    subprocess.run(["umount", str(path)], check=True)
