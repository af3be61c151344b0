import socket
from ipaddress import ip_address

import pytest

from lorelm.machine.network import own_address


def test_the_address_is_one_that_this_machine_can_listen_on() -> None:
    address = own_address()
    if address is None:
        pytest.skip("this machine is in no network")
    assert not ip_address(address).is_loopback
    with socket.create_server((address, 0)) as listening:
        assert listening.getsockname()[0] == address


def test_without_a_network_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unconnected(socket.socket):
        def connect(self, address: object) -> None:
            raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket, "socket", Unconnected)
    assert own_address() is None
