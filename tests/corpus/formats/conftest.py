import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lorelm.corpus.documents import Documents, ReadingOptions
from lorelm.corpus.readers import read_documents


@pytest.fixture
def read(write: Callable[[str, str | bytes], Path]) -> Callable[..., Documents]:
    """Writes a file and reads it."""

    def read(name: str, content: str | bytes, **options: object) -> Documents:
        return read_documents(write(name, content), ReadingOptions(**options))

    return read


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., None]:
    """Runs a program of the machine; skips the test where it is absent."""

    def run(program: str, *arguments: str | Path) -> None:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is absent")
        ended = subprocess.run(
            [program, *arguments], cwd=tmp_path, check=False, capture_output=True, timeout=300
        )
        assert ended.returncode == 0, ended.stderr

    return run


@pytest.fixture
def convert(run: Callable[..., None], tmp_path: Path) -> Callable[[Path, str], Path]:
    """Converts a file to another format by LibreOffice."""

    def convert(path: Path, suffix: str) -> Path:
        profile = f"-env:UserInstallation=file://{tmp_path}/profile"
        flat = ("--infilter=OpenDocument Text Flat XML",) if path.suffix == ".fodt" else ()
        to = ("--convert-to", suffix, "--outdir", tmp_path)
        run("soffice", profile, "--headless", *flat, *to, path)
        return tmp_path / f"{path.stem}.{suffix.partition(':')[0]}"

    return convert
