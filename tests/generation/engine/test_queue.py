from pathlib import Path

import pytest
from tests.errors import raises_code
from tests.generation.sequences import request_of

import lorelm
from lorelm.errors import OverloadedError
from lorelm.generation.engine.queue import RequestQueue
from lorelm.generation.handle import RequestHandle


@pytest.fixture(scope="module")
def model(tiny_bundle: Path) -> lorelm.LanguageModel:
    return lorelm.load(tiny_bundle)


def handle_of(
    model: lorelm.LanguageModel, name: int, num_prompts: int, num_samples: int = 1
) -> RequestHandle:
    """A client's requests; the first prompt's samples have the seeds name, name + 1, and so on."""
    requests = [
        request_of(model, [4, 5, 6], seed=name + 10 * prompt, num_samples=num_samples)
        for prompt in range(num_prompts)
    ]
    return RequestHandle(requests, cancel=lambda handle: None)


def seeds(queue: RequestQueue) -> list[int]:
    found = []
    while (sequence := queue.pop()) is not None:
        found.append(sequence.seed)
    return found


def test_clients_take_turns(model: lorelm.LanguageModel) -> None:
    queue = RequestQueue(9)
    for name, num_prompts in ((100, 4), (200, 1), (300, 2)):
        queue.add(handle_of(model, name, num_prompts))
    assert len(queue) == 3
    assert seeds(queue) == [100, 200, 300, 110, 310, 120, 130]
    assert len(queue) == 0


def test_siblings_are_added_once_and_do_not_wait_before(
    model: lorelm.LanguageModel,
) -> None:
    queue = RequestQueue(9)
    handle = handle_of(model, 100, 2, 3)
    queue.add(handle)
    queue.add(handle_of(model, 200, 1))
    assert len(queue) == 2
    assert seeds(queue) == [100, 200, 110]
    assert len(queue) == 0  # nothing could start, so they do not count as a client that waits
    queue.add(handle_of(model, 300, 1))
    queue.add_siblings(handle.requests[0])
    assert len(queue) == 2
    queue.add_siblings(handle.requests[0])
    assert seeds(queue) == [300, 101, 102]
    queue.add_siblings(handle.requests[1])
    assert seeds(queue) == [111, 112]
    assert len(queue) == 0


def test_a_full_queue_refuses_a_client(model: lorelm.LanguageModel) -> None:
    queue = RequestQueue(2)
    for name in (100, 200):
        queue.add(handle_of(model, name, 1, 2))
    with raises_code(OverloadedError, "engine.overloaded"):
        queue.add(handle_of(model, 300, 1))
    assert len(queue) == 2


def test_finished_sequences_are_removed(model: lorelm.LanguageModel) -> None:
    queue = RequestQueue(9)
    for name, num_prompts in ((100, 2), (200, 1), (300, 2)):
        queue.add(handle_of(model, name, num_prompts))
    for sequence in queue.all():
        if sequence.seed not in (300, 110):
            sequence.finish("timeout")
    queue.remove_finished()
    assert len(queue) == 2
    assert seeds(queue) == [110, 300]
