"""Processor time of commands from their start to their end, and what importing takes of it.

    python bench/start.py [--runs 7] [--compare ../base]
    python bench/start.py --imports [COMMAND]

Times are user and system seconds, the least of some runs, so that other work on the machine
matters little. `python -c pass` is measured with them. With --compare, another checkout takes turns
with this one, and the ratio is printed. The environment is the one that runs this script: a serving
installation is what people start most.

--imports: the modules that take longest to import, with what they import themselves.
"""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

COMMANDS = {
    "python -c pass": ("-c", "pass"),
    "import click": ("-c", "import click"),
    "lorelm --help": ("-m", "lorelm", "--help"),
    "lorelm --version": ("-m", "lorelm", "--version"),
    "lorelm runs": ("-m", "lorelm", "runs"),
    "lorelm serve --help": ("-m", "lorelm", "serve", "--help"),
    "lorelm generate": ("-m", "lorelm", "generate", "english", "The", "--max-len", "1"),
    "serve, ready": (
        "-c",
        "from lorelm.server.app import create_app; from lorelm.server.settings import *;"
        "from lorelm.bundle import EMBEDDED_PATH; import os;"
        "create_app(ServerSettings(bundles=[EMBEDDED_PATH])); os._exit(0)",
    ),
}


def environment(checkout: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1"}


def processor_seconds(arguments: Sequence[str], checkout: Path) -> float:
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env=environment(checkout),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(arguments)} failed in {checkout}")
    return usage.ru_utime + usage.ru_stime


def compare(checkouts: list[Path], num_runs: int) -> None:
    headings = "".join(f"{checkout.name[-14:]:>15}" for checkout in checkouts)
    print(f"{'processor seconds':22}{headings}" + f"{'ratio':>8}" * (len(checkouts) - 1))
    for name, arguments in COMMANDS.items():
        times: list[list[float]] = [[] for _ in checkouts]
        for _ in range(num_runs + 1):  # the first one writes bytecode
            for checkout, taken in zip(checkouts, times, strict=True):
                taken.append(processor_seconds(arguments, checkout))
        least = [min(taken) for taken in times]
        ratio = f"{least[0] / least[1]:8.2f}" if len(least) > 1 else ""
        print(f"{name:22}" + "".join(f"{each:15.3f}" for each in least) + ratio, flush=True)


def show_imports(command: str) -> None:
    arguments = COMMANDS[command]
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        env=environment(ROOT),
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.findall(r"import time: +(\d+) \| +(\d+) \|( +)(\S+)", ended.stderr)
    print(f"{'ms, with its own':>17}{'ms alone':>10}  module")
    for own, whole, _, module in sorted(found, key=lambda row: -int(row[1]))[:30]:
        print(f"{int(whole) / 1000:17.1f}{int(own) / 1000:10.1f}  {module}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--compare", type=Path, help="another checkout")
    parser.add_argument("--imports", nargs="?", const="lorelm --help", choices=COMMANDS)
    arguments = parser.parse_args()
    if arguments.imports:
        show_imports(arguments.imports)
    else:
        compare([ROOT, *filter(None, [arguments.compare])], arguments.runs)


if __name__ == "__main__":
    main()
