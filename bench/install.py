"""Install the wheel on each Python of this machine: seconds, size, and whether it works there.

    python bench/install.py [--pythons 3.11 /usr/bin/python3.13 ...] [--tests]
    python bench/install.py --lowest [--tests]

For each Python, uv (of this environment) makes a bare virtual environment without pip and installs
the wheel that `python -m build` makes of this checkout; the first lines of the README run in it.
Sizes are those of `du -sm` of site-packages, without and with the bytecode that pip compiles.
Seconds are those of uv, which has a cache.

--tests: installs the extra `dev` as well, and runs the fast tests.
--lowest: instead, the lowest versions that pyproject.toml allows for what is installed without
extras and with those that training, texts and services need. Development tools stay as new as they
are, and may raise one: it is printed.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
NOT_LOWERED = {"dev", "notebook", "release"}
README_TEXT = '"Where have you been?" she asked. "What are you going to do?"'
UV = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"


def run(*command: str | Path, folder: Path = ROOT) -> str:
    """Return what a command prints; end with its messages if it fails."""
    ended = subprocess.run(
        [str(each) for each in command], cwd=folder, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{ended.stdout[-3000:]}{ended.stderr[-3000:]}")
    return ended.stdout


def python_of(environment: Path) -> Path:
    windows = environment / "Scripts" / "python.exe"
    return windows if windows.exists() else environment / "bin" / "python"


def megabytes(folder: Path) -> int:
    """Return what `du -sm` gives."""
    return int(run("du", "-sm", folder).split()[0])


def build(folder: Path) -> Path:
    run(UV, "build", "--quiet", "--wheel", "--out-dir", folder)
    [wheel] = folder.glob("*.whl")
    return wheel


def check_readme(python: Path, folder: Path) -> None:
    lorelm = [python, "-m", "lorelm"]
    prompt = '"Where have you been?" she'
    text = run(
        *(*lorelm, "generate", "english", prompt, "--seed", "4", "--max-len", "20"), folder=folder
    )
    assert text.startswith(README_TEXT), text
    run(*lorelm, "doctor", folder=folder)


def install(wheel: Path, version: str, folder: Path) -> tuple[str, Path]:
    """Return a row of the table, and the Python of the environment."""
    environment = folder / "environment"
    run(UV, "venv", "--quiet", "--clear", "--python", version, environment)
    python = python_of(environment)
    started = time.monotonic()
    run(UV, "pip", "install", "--quiet", "--python", python, wheel)
    seconds = time.monotonic() - started
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(run(python, "-c", code).strip())
    plain = megabytes(packages)
    run(python, "-m", "compileall", "-q", packages)
    check_readme(python, folder)
    name = run(python, "--version").split()[1]
    return f"{name:10}{seconds:12.1f}{plain:15}{megabytes(packages):18}   works", python


def lowest(folder: Path) -> list[str]:
    """Return the lowest versions of what LoreLM asks for itself; PyTorch stays."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [name for name in project["optional-dependencies"] if name not in NOT_LOWERED]
    asked = [*project["dependencies"]]
    for extra in extras:
        asked += project["optional-dependencies"][extra]
    names = {re.split(r"[^\w-]", each)[0].lower().replace("_", "-") for each in asked}
    override = folder / "override.txt"
    override.write_text("torch; sys_platform == 'none'\n")  # any of its builds will do
    found = run(
        *(UV, "pip", "compile", "pyproject.toml", "--resolution", "lowest-direct", "--quiet"),
        *("--no-header", "--no-annotate", "--override", override, "--python-version", "3.11"),
        *(part for extra in extras for part in ("--extra", extra)),
    )
    lines = [line for line in found.splitlines() if "==" in line]
    return [line for line in lines if line.partition("==")[0] in names - {"torch", "lorelm"}]


def run_tests(python: Path) -> str:
    """Return the last line of the fast tests."""
    ended = subprocess.run(
        [
            *(str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("-m", "not slow and not system"),
        ],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    failed = [line for line in ended.stdout.splitlines() if line.startswith("FAILED")]
    return "\n".join([*failed, ended.stdout.splitlines()[-1]])


def try_lowest(folder: Path, *, tests: bool) -> None:
    pins = lowest(folder)
    environment = folder / "environment"
    run(UV, "venv", "--quiet", "--clear", "--python", "3.11", environment)
    python = python_of(environment)
    run(UV, "pip", "install", "--python", python, *pins)
    print("\n".join(pins))
    run(UV, "pip", "install", "--python", python, "--editable", ".[dev]")
    kept = run(UV, "pip", "freeze", "--python", python).lower()
    for pin in pins:
        if pin.partition(" ")[0] not in kept.replace("_", "-"):
            print(f"raised by a development tool: {pin}")
    if tests:
        print(run_tests(python))


def try_all(folder: Path, pythons: Sequence[str], *, tests: bool) -> None:
    wheel = build(folder)
    print(f"{wheel.name}, {wheel.stat().st_size / 1e6:.1f} MB")
    print(f"{'Python':10}{'uv, seconds':>12}{'MB without':>15}{'MB with bytecode':>18}   README")
    for version in pythons:
        found = subprocess.run([UV, "python", "find", version], capture_output=True, check=False)
        if found.returncode:
            print(f"{version:10}is not on this machine")
            continue
        row, python = install(wheel, version, folder)
        print(row, flush=True)
        if tests:
            run(UV, "pip", "install", "--quiet", "--python", python, "--editable", ".[dev]")
            print(run_tests(python), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pythons", nargs="+", default=PYTHONS)
    parser.add_argument("--lowest", action="store_true")
    parser.add_argument("--tests", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.lowest:
            try_lowest(Path(folder), tests=arguments.tests)
        else:
            try_all(Path(folder), arguments.pythons, tests=arguments.tests)


if __name__ == "__main__":
    main()
