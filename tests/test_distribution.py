"""The distributions: what is in them, what their metadata say, and that they install and work.

pip and uv ask the package index for the tools and packages that they need.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lorelm.version import VERSION

pytestmark = [pytest.mark.system, pytest.mark.slow]

ROOT = Path(__file__).parents[1]
MAX_MEGABYTES = 260
Run = Callable[..., str]


def run(*command: str | Path, folder: Path, **variables: str) -> str:
    ended = subprocess.run(
        [*map(str, command)],
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert ended.returncode == 0, (ended.stdout + ended.stderr)[-4000:]
    return ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def tracked() -> set[str]:
    """The files of the repository, as git lists them."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("this is no checkout of git, which lists what belongs to the sdist")
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", folder=ROOT)
    return {name for name in listed.split("\0") if name and (ROOT / name).exists()}


@pytest.fixture(scope="module")
def dist(tracked: set[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, folder=ROOT)
    return folder


@pytest.fixture(scope="module")
def sdist(dist: Path) -> Path:
    return dist / f"lorelm-{VERSION}.tar.gz"


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    return dist / f"lorelm-{VERSION}-py3-none-any.whl"


def test_the_sdist_is_the_repository(sdist: Path, tracked: set[str]) -> None:
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers()}
    assert names == tracked | {"PKG-INFO"}


def test_the_wheel_is_the_package(wheel: Path, tracked: set[str]) -> None:
    about = ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
    package = {name.removeprefix("src/") for name in tracked if name.startswith("src/lorelm/")}
    with zipfile.ZipFile(wheel) as archive:
        assert set(archive.namelist()) == package | {
            f"lorelm-{VERSION}.dist-info/{name}" for name in about
        }


@pytest.mark.parametrize(
    "command",
    [
        ("twine", "check", "--strict", "SDIST", "WHEEL"),
        ("check-wheel-contents", "--config", ROOT / "pyproject.toml", "WHEEL"),
        # Not rated: an address of the authors and of a page, before there is one.
        ("pyroma", "--min", "10", "--skip-tests", "AuthorEmail,Url", "SDIST"),
    ],
    ids=lambda command: command[0],
)
def test_a_judge_of_distributions_is_content(
    command: tuple[str | Path, ...], sdist: Path, wheel: Path
) -> None:
    named = {"SDIST": sdist, "WHEEL": wheel}
    program, *arguments = (named.get(str(each), each) for each in command)
    run(Path(sys.executable).parent / program, *arguments, folder=ROOT)


@pytest.mark.parametrize("tool", ["pip", "uv", "pipx"])
def test_the_wheel_installs_and_works(tool: str, wheel: Path, tmp_path: Path) -> None:
    """By the lines of the README, into a place that has nothing else."""
    programs = tmp_path / "bin"
    if tool == "pip":
        run(sys.executable, "-m", "venv", tmp_path / "venv", folder=tmp_path)
        programs = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
        run(programs / "python", "-m", "pip", "install", wheel, folder=tmp_path)
    elif tool == "uv":
        places = {"UV_TOOL_DIR": f"{tmp_path / 'uv'}", "UV_TOOL_BIN_DIR": f"{programs}"}
        interpreter = ("--python", sys.executable)
        uv = Path(sys.executable).parent / "uv"
        run(uv, "tool", "install", *interpreter, wheel, folder=tmp_path, **places)
    else:
        places = {"PIPX_HOME": f"{tmp_path / 'pipx'}", "PIPX_BIN_DIR": f"{programs}"}
        pipx = Path(sys.executable).parent / "pipx"
        run(pipx, "install", "--python", sys.executable, wheel, folder=tmp_path, **places)
    lorelm = programs / "lorelm"
    assert VERSION in run(lorelm, "--version", folder=tmp_path)
    prompt = '"Where have you been?" she'
    text = run(
        lorelm, "generate", "english", prompt, "--seed", "4", "--max-len", "70", folder=tmp_path
    )
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.splitlines()[0] in readme
    [package] = tmp_path.rglob("lorelm/version.py")
    size = sum(
        file.stat().st_blocks * 512
        for file in package.parents[1].rglob("*")
        if not {"pip", "setuptools", "pkg_resources"}
        & {*file.relative_to(package.parents[1]).parts}
    )
    assert size / 2**20 < MAX_MEGABYTES


def test_the_fast_tests_pass_from_the_sdist(sdist: Path, tmp_path: Path) -> None:
    """In this environment, in which the package is that of the sdist."""
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    folder = tmp_path / sdist.name.removesuffix(".tar.gz")
    run(
        *(sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"),
        *("-m", "not slow and not system"),
        folder=folder,
        PYTHONPATH=f"{folder / 'src'}",
    )
