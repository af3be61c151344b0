"""Expect an error by its code."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest

from lorelm.errors import LoreLMError

_E = TypeVar("_E", bound=LoreLMError)


@contextmanager
def raises_code(kind: type[_E], code: str) -> Iterator[pytest.ExceptionInfo[_E]]:
    """Expect an error of this class and code, as :func:`pytest.raises` does."""
    with pytest.raises(kind) as caught:
        yield caught
    assert caught.value.code == code, str(caught.value)
