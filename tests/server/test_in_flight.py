import threading
from collections.abc import Callable, Iterator

import pytest
from werkzeug.test import Client
from werkzeug.wrappers import Response

from lorelm.server.serving import InFlight


def test_a_request_is_in_flight_until_its_response_is_closed() -> None:
    def stream() -> Iterator[bytes]:
        yield b"one"
        yield b"two"

    in_flight = InFlight(Response(stream()))
    response = Client(in_flight).get("/", buffered=False)
    assert not in_flight.wait_for_none(timeout_seconds=0.01)
    waiting = threading.Thread(target=response.close)
    waiting.start()
    assert in_flight.wait_for_none(timeout_seconds=20)
    waiting.join()


def test_a_failed_request_is_not_in_flight() -> None:
    def fail(_environ: object, _start_response: Callable[..., object]) -> list[bytes]:
        raise RuntimeError("a fault")

    in_flight = InFlight(fail)
    with pytest.raises(RuntimeError):
        Client(in_flight).get("/")
    assert in_flight.wait_for_none(timeout_seconds=0)
