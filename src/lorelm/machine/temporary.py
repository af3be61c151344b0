"""A folder that is there for a while: :func:`temporary_folder`."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder and delete it at the end, but for what Windows keeps: files that are mapped.

    There, a :class:`tempfile.TemporaryDirectory` of Python 3.11.7 and older recurses without end.
    """
    folder = Path(tempfile.mkdtemp(prefix="lorelm-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
