from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lorelm.corpus.documents import ReadingOptions
from lorelm.corpus.readers import read_documents
from lorelm.errors import CorpusError


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def refusal() -> Callable[..., str]:
    """Reads what must be refused; returns the message, which is one line that names the file."""

    def refuse(path: Path, **options: Any) -> str:
        with pytest.raises(CorpusError) as caught:
            read_documents(path, ReadingOptions(**options))
        message = str(caught.value)
        assert str(path) in message
        assert len(message.splitlines()) == 1
        return message

    return refuse
