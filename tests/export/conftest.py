"""The modules of an exported page in Node, and the files that they read."""

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from lorelm.bundle import Bundle
from lorelm.export.model_files import copies_file, model_file

InBrowser = Callable[..., Any]
"""Does a job of in_browser.js and returns its result."""

ExportedFiles = Callable[..., Mapping[str, str]]
"""Writes the data files of a bundle; returns their paths, as a job takes them."""


@pytest.fixture(scope="session")
def in_browser() -> InBrowser:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node.js: apt-get install nodejs (.ci/run does)")

    def run(kind: str, **job: Any) -> Any:
        script = Path(__file__).parent / "in_browser.js"
        ended = subprocess.run(
            [node, script],
            input=json.dumps({"kind": kind, **job}),
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    return run


@pytest.fixture(scope="session")
def exported_files(tmp_path_factory: pytest.TempPathFactory) -> ExportedFiles:
    def write(path: Path, *, mixture: bool = False) -> dict[str, str]:
        bundle, folder = Bundle.load(path), tmp_path_factory.mktemp("exported")
        contents = {"model": model_file(bundle, mixture=mixture), "copies": copies_file(bundle)}
        for name, content in contents.items():
            if content is not None:
                (folder / name).write_bytes(content)
        return {path.name: str(path) for path in folder.iterdir()}

    return write
