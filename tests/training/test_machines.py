"""Two machines: network namespaces with an address each, and torchrun in both."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from tests.errors import raises_code

from lorelm.bundle import Bundle
from lorelm.bundle.layout import CHECKPOINT
from lorelm.errors import InputError
from lorelm.training.checkpoint import Checkpoint
from lorelm.training.processes import _address_towards, choose_interface

from .test_processes import folder, losses, wait_until

__all__ = ["folder"]  # a fixture

SETTINGS = ("--recipe", "recipe.toml", "--device", "cpu", "--checkpoint-steps", "7")


class Machine:
    """A network namespace, and what runs in it; its files are those of all machines."""

    def __init__(self, number: int) -> None:
        self.name = f"lorelm-{os.getpid()}-{number}"
        self.interface = f"lore{number}-{os.getpid() % 100_000}"
        self.address = f"10.213.7.{number}"
        self._number = number
        self._programs: list[subprocess.Popen[bytes]] = []

    def ip(self, *arguments: str) -> None:
        subprocess.run(["ip", "-n", self.name, *arguments], check=True)

    def torchrun(
        self, folder: Path, main: "Machine", *arguments: str, num_restarts: int = 0
    ) -> "subprocess.Popen[bytes]":
        """Start torchrun as the guide says; its output goes to a file, from its beginning."""
        command = [
            *("ip", "netns", "exec", self.name, sys.executable, "-m", "torch.distributed.run"),
            *("--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d"),
            *("--rdzv-endpoint", f"{main.address}:29500", "--local-addr", self.address),
            *("--rdzv-conf", f"is_host={int(self is main)}"),
            *("--max-restarts", str(num_restarts), "-m", "lorelm", "train", *arguments),
        ]
        environment = os.environ | {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
        with self._output(folder).open("w") as output:
            program = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdout=output,
                stderr=output,
            )
        self._programs.append(program)
        return program

    def said(self, folder: Path) -> str:
        return self._output(folder).read_text(encoding="utf-8")

    def _output(self, folder: Path) -> Path:
        return folder / f"said-{self._number}.txt"

    def crash(self) -> None:
        """Kill all that runs on it at the same moment, as a power cut would."""
        found = subprocess.run(
            ["ip", "netns", "pids", self.name], check=True, capture_output=True, text=True
        )
        for number in found.stdout.split():
            with suppress(ProcessLookupError):
                os.kill(int(number), signal.SIGKILL)
        for program in self._programs:
            program.wait()


@pytest.fixture
def machines() -> Iterator[tuple[Machine, Machine]]:
    """Two machines on one network; skips the test where the kernel forbids them."""
    if shutil.which("ip") is None:
        pytest.skip("no command ip: apt-get install iproute2 (.ci/run does)")
    one, two = Machine(1), Machine(2)
    made = subprocess.run(
        ["ip", "netns", "add", one.name], check=False, capture_output=True, text=True
    )
    if made.returncode:
        pytest.skip(f"no network namespaces here (root may make some): {made.stderr.strip()}")
    try:
        subprocess.run(["ip", "netns", "add", two.name], check=True)
        one.ip(
            *("link", "add", one.interface, "type", "veth"),
            *("peer", "name", two.interface, "netns", two.name),
        )
        for each in (one, two):
            each.ip("address", "add", f"{each.address}/24", "dev", each.interface)
            each.ip("link", "set", each.interface, "up")
            each.ip("link", "set", "lo", "up")
        yield one, two
    finally:
        for each in (one, two):
            each.crash()
            subprocess.run(["ip", "netns", "delete", each.name], check=False)


def test_the_network_that_leads_to_the_main_machine_is_used() -> None:
    [interface] = [
        name
        for name, addresses in psutil.net_if_addrs().items()
        if any(each.address == "127.0.0.1" for each in addresses)
    ]
    environment = {"GROUP_WORLD_SIZE": "2", "MASTER_ADDR": "192.0.2.1"}
    address = _address_towards("192.0.2.1")
    if address is None:
        pytest.skip("this machine has no network")
    choose_interface(environment)
    chosen = environment["GLOO_SOCKET_IFNAME"]
    assert chosen != interface
    assert any(each.address == address for each in psutil.net_if_addrs()[chosen])


def test_an_address_that_other_machines_cannot_reach_is_refused() -> None:
    for main in ("localhost", "127.0.1.1", "no-such-machine.invalid"):
        with raises_code(InputError, "processes.unreachable") as caught:
            choose_interface({"GROUP_WORLD_SIZE": "2", "MASTER_ADDR": main})
        assert "torchrun --local-addr" in str(caught.value)


def test_a_single_machine_and_the_users_choice_are_left_alone() -> None:
    for environment in (
        {"GROUP_WORLD_SIZE": "1", "MASTER_ADDR": "localhost"},
        {"GROUP_WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "GLOO_SOCKET_IFNAME": "eth7"},
    ):
        before = dict(environment)
        choose_interface(environment)
        assert environment == before


@pytest.mark.slow
def test_a_machine_that_crashes_and_comes_back_goes_on_and_both_learn_what_one_would(
    folder: Path, machines: tuple[Machine, Machine]
) -> None:
    one, two = machines
    arguments = ("tales.jsonl", "--out", "together", *SETTINGS)
    first = one.torchrun(folder, one, *arguments, num_restarts=2)
    two.torchrun(folder, one, *arguments, num_restarts=2)
    wait_until((folder / "together" / "metrics.so-far.jsonl").exists)
    two.crash()
    wait_until(lambda: "another process of this run ended" in one.said(folder))
    second = two.torchrun(folder, one, *arguments, num_restarts=2)
    assert first.wait(timeout=180) == 0, one.said(folder)
    assert second.wait(timeout=60) == 0, two.said(folder)
    assert one.said(folder).count("Going on from epoch") == 1
    assert "Saved to together." in one.said(folder)
    assert losses(folder / "together") == pytest.approx(losses(folder / "one"), rel=1e-3)
    assert Bundle.load(folder / "together").manifest.metrics is not None
    assert not (folder / "together" / CHECKPOINT).exists()


@pytest.mark.slow
def test_a_machine_that_is_cut_off_ends_the_run_with_a_checkpoint(
    folder: Path, machines: tuple[Machine, Machine]
) -> None:
    """Nothing closes the connections, so both wait a minute."""
    one, two = machines
    arguments = ("tales.jsonl", "--out", "cut", *SETTINGS)
    first = one.torchrun(folder, one, *arguments)
    two.torchrun(folder, one, *arguments)
    wait_until((folder / "cut" / "metrics.so-far.jsonl").exists)
    two.ip("link", "set", two.interface, "down")
    assert first.wait(timeout=180) != 0
    for each in machines:
        wait_until(lambda each=each: "go on with lorelm train --resume cut" in each.said(folder))
        assert "lorelm: another process of this run ended or does not answer" in each.said(folder)
    assert Checkpoint.find(folder / "cut") is not None
