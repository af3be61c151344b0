import numpy as np
import pytest

from lorelm.errors import OverloadedError
from lorelm.generation.draft import Draft
from lorelm.generation.engine.queue import RequestQueue
from lorelm.generation.engine.request import EngineRequest, Row
from lorelm.generation.settings import GenerationSettings


def request(name: int, num_prompts: int, num_samples: int = 1) -> EngineRequest:
    """A request whose drafts have its name for a seed."""

    def draft() -> Draft:
        nothing = np.array([], dtype=np.int64)
        return Draft(nothing, seed=name, settings=GenerationSettings(), max_len=1)

    groups = [[draft() for _ in range(num_samples)] for _ in range(num_prompts)]
    return EngineRequest(groups=groups, on_end=lambda draft: None)


def names(queue: RequestQueue) -> list[int]:
    found = []
    while (row := queue.pop()) is not None:
        found.append(row.draft.seed)
    return found


def test_requests_take_turns() -> None:
    queue = RequestQueue(9)
    for name, num_prompts in ((1, 4), (2, 1), (3, 2)):
        asked = request(name, num_prompts)
        queue.add(asked, asked.rows())
    assert len(queue) == 3
    assert names(queue) == [1, 2, 3, 1, 3, 1, 1]
    assert len(queue) == 0


def test_a_prompt_is_one_row_and_its_other_samples_follow() -> None:
    asked = request(1, 2, 3)
    rows = asked.rows()
    assert [len(row.followers) for row in rows] == [2, 2]
    queue = RequestQueue(9)
    queue.add(asked, rows)
    other = request(2, 1)
    queue.add(other, other.rows())
    first = queue.pop()
    assert isinstance(first, Row)
    queue.add_more(asked, first.followers)
    assert names(queue) == [2, 1, 1, 1]
    queue.add_more(asked, first.followers)
    assert names(queue) == [1, 1]


def test_a_full_queue_takes_no_new_request_but_more_of_one_that_it_has() -> None:
    queue = RequestQueue(2)
    asked = [request(name, 1, 2) for name in range(3)]
    for each in asked[:2]:
        queue.add(each, each.rows())
    with pytest.raises(OverloadedError):
        queue.add(asked[2], asked[2].rows())
    queue.add_more(asked[2], asked[2].rows())
    assert len(queue) == 3


def test_what_need_not_wait_is_taken_out() -> None:
    queue = RequestQueue(9)
    for name, num_prompts in ((1, 2), (2, 1), (3, 2)):
        asked = request(name, num_prompts)
        queue.add(asked, asked.rows())
    removed = queue.remove(lambda row: row.draft.seed != 3)
    assert [row.draft.seed for row in removed] == [1, 1, 2]
    assert len(queue) == 1
    assert names(queue) == [3, 3]
