"""Machines on one network: namespaces with an address each."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest


class Machine:
    """A network namespace that reaches the others through a router."""

    def __init__(self, number: int) -> None:
        self.name = f"lorelm-{os.getpid()}-{number}"
        self.address = f"10.214.{number}.2"
        self.gateway = f"10.214.{number}.1"
        self._near, self._far = (f"l{end}{number}-{os.getpid() % 100_000}" for end in "nf")
        run("ip", "netns", "add", self.name)
        self.ip("link", "set", "lo", "up")

    @property
    def prefix(self) -> Sequence[str]:
        """What a command begins with that runs there."""
        return ("ip", "netns", "exec", self.name)

    def connect(self, router: "Machine | None") -> None:
        """Lay a cable to a router; None is the machine of the test."""
        side = ("ip",) if router is None else ("ip", "-n", router.name)
        peer = ("peer", "name", self._far, "netns", self.name)
        run(*side, "link", "add", self._near, "type", "veth", *peer)
        run(*side, "address", "add", f"{self.gateway}/24", "dev", self._near)
        run(*side, "link", "set", self._near, "up")
        self.ip("address", "add", f"{self.address}/24", "dev", self._far)
        self.plug_in()

    def unplug(self) -> None:
        """Cut the cable: packets are lost, connections are not closed."""
        self.ip("link", "set", self._far, "down")

    def plug_in(self) -> None:
        self.ip("link", "set", self._far, "up")
        self.ip("route", "add", "default", "via", self.gateway)

    def set(self, name: str, value: str) -> None:
        """Set a parameter of its kernel's network."""
        run(*self.prefix, "sysctl", "--quiet", "--write", f"{name}={value}")

    def ip(self, *arguments: str) -> None:
        run("ip", "-n", self.name, *arguments)

    def remove(self) -> None:
        subprocess.run(["ip", "netns", "delete", self.name], check=False)


def run(*command: str) -> None:
    subprocess.run(command, check=True)


@contextmanager
def three_machines() -> Iterator[tuple[Machine, Machine, Machine]]:
    """Yield a machine that the test reaches at its address, and two behind it.

    Skips the test where the kernel forbids them.
    """
    if shutil.which("ip") is None:
        pytest.skip("no command ip: apt-get install iproute2 (.ci/run does)")
    machines: list[Machine] = []
    try:
        try:
            machines += (Machine(number) for number in range(3))
        except subprocess.CalledProcessError:
            pytest.skip("no network namespaces here (root may make some)")
        front, one, two = machines
        front.connect(None)
        front.set("net.ipv4.ip_forward", "1")
        for each in (one, two):
            each.connect(front)
            # The way back.
            run("ip", "route", "add", f"{each.address}/32", "via", front.address)
        yield front, one, two
    finally:
        for each in machines:
            each.remove()  # and its cable, and the routes
