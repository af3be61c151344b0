"""Run the commands of a page in their order, as a reader would in one folder."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from contextlib import chdir, suppress
from pathlib import Path
from typing import Final
from urllib.request import Request, urlopen

from click.testing import CliRunner
from tests.docs.markdown import ROOT

import lorelm
from lorelm.cli.main import lorelm as program
from lorelm.errors import TrainingStoppedError
from lorelm.training.callbacks import EpochReport

ADDRESS: Final = "http://127.0.0.1:5000"

# A page trains for minutes, its test for seconds: as written, but for the time.
SHORTER: Final = (
    (r" --time-budget \S+", ""),
    (r" --epochs \d+", ""),
    (r"^(train .*--resume .*)$", r"\1 --epochs 3"),
    (r"^(train (?!.*--(resume|finish)).*)$", r"\1 --epochs 1"),
    (r"^(tune .*)$", r"\1 --trials 1 --epochs 1"),
)
EXTRAS: Final = set(
    tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
)


class Session:
    """A shell in a folder with the files that pages name.

    Attributes:
        folder: where the next command runs.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._environment = {**environment, "PATH": programs}
        self._server: subprocess.Popen[str] | None = None
        self._address = ADDRESS
        self._browser = ""

    def run(self, command: str) -> str:
        """Run a command and return what it prints.

        Raises:
            AssertionError: it fails.
        """
        command = command.split("  #", maxsplit=1)[0].strip().replace(ADDRESS, self._address)
        command = re.sub(r"(?<= )~/", f"{self._environment['HOME']}/", command)
        if self._browser:
            command = re.sub(r"(?<=--browser )[0-9a-f]{32}", self._browser, command)
        settings, command = _split_environment(command)
        words = shlex.split(command)
        if words[0] == "cd":
            self.folder = self.folder / words[1]
            return ""
        name = Path(words[0]).name
        if "pip" in words[:3] or name == "pip":
            return self._check_installation(words)
        if "http.server" in words:
            return self._serve(["-u", *words[1:-1], "0"], settings)
        if name != "lorelm":
            return self._run_other(command, settings)
        arguments = _shortened(command)
        if arguments[0] in ("serve", "studio") or arguments[:2] == ["runs", "watch"]:
            port = ["--port", "0"] if arguments[0] == "serve" else []
            browser = ["--no-browser"] if arguments[0] == "studio" else []
            return self._serve(["-m", "lorelm", *arguments, *port, *browser], settings)
        return self._run_lorelm(arguments, settings)

    def _run_lorelm(self, arguments: list[str], settings: Mapping[str, str]) -> str:
        redirection = None
        if ">" in arguments:
            redirection = arguments[arguments.index(">") + 1]
            arguments = arguments[: arguments.index(">")]
        with chdir(self.folder):
            self._leave_unfinished(arguments)
            runner = CliRunner(env={**self._environment, **settings})
            ended = runner.invoke(
                program, arguments, input="y\n", prog_name="lorelm", catch_exceptions=False
            )
        assert ended.exit_code == 0, f"lorelm {' '.join(arguments)}: {ended.output}"
        if redirection:
            (self.folder / redirection).write_text(ended.stdout, encoding="utf-8")
        return ended.output

    def _leave_unfinished(self, words: list[str]) -> None:
        """Make an unfinished run of what a command resumes or finishes."""
        place = next((i for i, word in enumerate(words) if word in ("--resume", "--finish")), None)
        if place is None:
            return
        corpus = next(name for name in ("my.csv", "my-books") if (self.folder / name).exists())
        with suppress(TrainingStoppedError):
            lorelm.train(
                corpus,
                out=words[place + 1],
                epochs=3,
                on_epoch=_stop,
                checkpoint_seconds=0.001,
                init="none",
            )
            raise AssertionError("the run was not stopped")

    def _serve(self, arguments: list[str], settings: Mapping[str, str]) -> str:
        """Start a server in place of the one that runs, and return what it says of its address."""
        self.close()
        self._server = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**os.environ, **self._environment, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        assert self._server.stdout
        lines = ""
        for line in self._server.stdout:
            lines += line
            if found := re.search(r"http://[\w.]+:\d+", line):
                self._address = found[0].replace("0.0.0.0", "127.0.0.1")
                return lines
        raise AssertionError(lines)

    def _run_other(self, command: str, settings: Mapping[str, str]) -> str:
        if " -m lorelm " in command:
            with chdir(self.folder):
                self._leave_unfinished(shlex.split(command))
        ended = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env={**os.environ, **self._environment, **settings},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=120,
        )
        assert ended.returncode == 0, f"{command}: {ended.stderr}"
        return ended.stdout

    def _check_installation(self, words: list[str]) -> str:
        """Check that the extras exist; that they install is tested with the wheel."""
        for word in words:
            for names in re.findall(r"^(?:lorelm|\.)\[([\w,]+)\]", word):
                assert set(names.split(",")) <= EXTRAS, word
        return ""

    def generate(self) -> None:
        """Generate a text as a browser, whose id commands then have in place of an example's."""
        self.run("lorelm serve my-model")
        body = json.dumps({"prompt": "The fox", "max_len": 5}).encode()
        headers = {"Content-Type": "application/json", "Lorelm-Page": "1"}
        with urlopen(Request(f"{self._address}/api/generate", body, headers)) as reply:
            assert reply.status == 200
        self.close()
        [self._browser] = re.findall(r"\b[0-9a-f]{32}\b", self.run("lorelm history list"))

    def close(self) -> None:
        """Stop the server that a command started."""
        if self._server is None:
            return
        self._server.terminate()
        self._server.communicate(timeout=30)
        self._server = None


def _stop(report: EpochReport) -> None:
    if report.epoch == 2:
        raise KeyboardInterrupt


def _split_environment(command: str) -> tuple[dict[str, str], str]:
    settings = {}
    while found := re.match(r"([A-Z_]+)=(\S*) +(?=\S)", command):
        settings[found[1]] = found[2]
        command = command[found.end() :]
    return settings, command


def _shortened(command: str) -> list[str]:
    text = command.split("lorelm ", 1)[1] if " " in command else "--help"
    for pattern, replacement in SHORTER:
        text = re.sub(pattern, replacement, text)
    return shlex.split(text)
