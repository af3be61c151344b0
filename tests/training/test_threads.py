"""Choosing the number of threads: on simulated machines, whose speed is known, and on this one."""

import os
import random
import subprocess
import sys
from dataclasses import dataclass, field, replace
from itertools import islice, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.training.fitting import CPU, new_trainer

from lorelm.corpus.documents import CorpusParts, Documents
from lorelm.corpus.preparation import prepare_corpus
from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.corpus.vocabulary import VocabularyRules
from lorelm.machine.cores import available_cores
from lorelm.training.corpus_size import sized_to
from lorelm.training.recipe import Recipe
from lorelm.training.threads import (
    OtherLoad,
    ThreadTuner,
    make_tuner,
    thread_count_kept,
    thread_counts,
)
from lorelm.training.trainer import Trainer


@pytest.fixture(autouse=True)
def threads_kept():
    with thread_count_kept():
        yield


@dataclass
class Machine:
    """A machine on which threads wait for one another, as those of matrix products do.

    With as many busy threads as cores or fewer, an update is shared among the threads. With more,
    every product waits for the thread that has no core.
    """

    cores: int
    neighbours: float = 0
    now: float = 0.0
    history: list[tuple[float, int]] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def load(self) -> float:
        return min(self.neighbours, self.cores)

    def seconds(self, count: int) -> float:
        alone = 0.15 * (0.3 + 0.7 / count)
        busy = count + self.neighbours
        if busy <= self.cores:
            return alone
        return alone * busy / self.cores * (4 if count > 1 else 1)

    def run(self, tuner: ThreadTuner, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            count = tuner.count
            spent = self.seconds(count)
            self.now += spent
            self.history.append((spent, count))
            tuner.record(num_tokens=320, seconds=spent)

    def best(self) -> int:
        return min(range(1, self.cores + 1), key=self.seconds)

    def share_of(self, count: int) -> float:
        return sum(spent for spent, of in self.history if of == count) / sum(
            spent for spent, _ in self.history
        )


def tuner_of(machine: Machine) -> ThreadTuner:
    return ThreadTuner(thread_counts(machine.cores), clock=machine.clock, other_load=machine.load)


@settings(max_examples=15, deadline=None)
@given(cores=st.integers(1, 4), phases=st.lists(st.integers(0, 4), min_size=1, max_size=4))
def test_the_fastest_number_is_found_again_whenever_neighbours_come_and_go(cores, phases):
    machine = Machine(cores=cores)
    tuner = tuner_of(machine)
    for neighbours in phases:
        machine.neighbours = neighbours
        machine.run(tuner, 150)
        assert machine.seconds(tuner.count) <= 1.06 * machine.seconds(machine.best())


def test_measuring_takes_a_few_percent_of_the_time() -> None:
    machine = Machine(cores=2)
    machine.run(tuner_of(machine), 120)
    assert machine.share_of(2) > 0.99
    machine.history.clear()
    tuner = tuner_of(machine)
    for second in range(240):
        machine.neighbours = second // 10 % 2  # a neighbour that comes and goes
        machine.run(tuner, 1)
    assert machine.share_of(2) > 0.35
    best = sum(min(machine.seconds(1), spent) for spent, _ in machine.history)
    assert sum(spent for spent, _ in machine.history) < 1.35 * best


def test_speed_alone_is_reason_enough_to_measure_again() -> None:
    machine = Machine(cores=2)
    tuner = ThreadTuner([1, 2], clock=machine.clock, other_load=lambda: 0.0)
    machine.run(tuner, 5)
    machine.neighbours = 1
    machine.run(tuner, 10)
    assert tuner.count == 1


def test_a_moment_of_other_work_that_the_load_does_not_show_decides_for_a_moment_only() -> None:
    machine = Machine(cores=2, neighbours=1)
    tuner = ThreadTuner([1, 2], clock=machine.clock, other_load=lambda: 0.0)
    machine.run(tuner, 5)
    assert tuner.count == 1
    machine.neighbours = 0
    machine.run(tuner, 20)
    assert tuner.count == 2


def test_processors_that_bring_nothing_are_left_to_others() -> None:
    machine = Machine(cores=4)
    machine.seconds = lambda count: 0.03 if count < 4 else 0.0295
    tuner = tuner_of(machine)
    machine.run(tuner, 5)
    assert tuner.count == 1


def test_a_number_of_the_user_is_kept() -> None:
    tuner = make_tuner(3, CPU)
    assert torch.get_num_threads() == 3
    for seconds in (0.1, 5.0) * 20:
        tuner.record(num_tokens=10, seconds=seconds)
    assert (tuner.count, torch.get_num_threads()) == (3, 3)


@pytest.mark.parametrize(
    ("environment", "most"),
    [
        ({"OMP_NUM_THREADS": "1"}, 1),
        ({"OMP_NUM_THREADS": "1", "TORCHELASTIC_RUN_ID": "x", "LOCAL_WORLD_SIZE": "1"}, None),
        ({"OMP_NUM_THREADS": "1", "TORCHELASTIC_RUN_ID": "x", "LOCAL_WORLD_SIZE": "999"}, 1),
    ],
    ids=["limit of the user", "default of torchrun", "more processes than cores"],
)
def test_a_process_tries_no_more_threads_than_it_has_room_for(monkeypatch, environment, most):
    for name in ("OMP_NUM_THREADS", "TORCHELASTIC_RUN_ID", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert make_tuner(None, CPU).counts == thread_counts(most or available_cores())


def test_numbers_to_try() -> None:
    assert [thread_counts(most) for most in (1, 2, 3, 4, 8)] == [
        [1],
        [1, 2],
        [1, 2, 3],
        [1, 2, 3, 4],
        [1, 2, 4, 6, 7, 8],
    ]


def test_other_devices_have_no_threads_to_choose() -> None:
    assert make_tuner(2, torch.device("cuda")) is None


def test_the_load_of_others_leaves_out_this_process() -> None:
    load = OtherLoad()
    assert 0 <= load() <= (os.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux sets affinities")
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="another program needs a core of its own")
@pytest.mark.system
def test_the_load_is_that_of_the_cores_of_this_process() -> None:
    first, *others = sorted(os.sched_getaffinity(0))
    busy = f"import os\nos.sched_setaffinity(0, {others})\nwhile True: pass"
    neighbours = [subprocess.Popen([sys.executable, "-c", busy]) for _ in others]
    code = (
        f"import os, time; os.sched_setaffinity(0, [{first}])\n"
        "from lorelm.training.threads import OtherLoad\n"
        "load = OtherLoad(); time.sleep(0.5); print(load())"
    )
    try:
        run = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
    finally:
        for neighbour in neighbours:
            neighbour.kill()
            neighbour.wait()
    assert float(run.stdout) <= 1


def weights_after(trainer: Trainer, counts: list[int]) -> list[torch.Tensor]:
    for count in counts:
        torch.set_num_threads(count)
        trainer.update()
    return [parameter.detach().clone() for parameter in trainer.model.parameters()]


@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_the_number_of_threads_does_not_change_the_weights(precision) -> None:
    # As wide as real models, since PyTorch does not share small products among threads.
    recipe = Recipe.load("default", tokenizer="classic", min_frequency=1, precision=precision)
    words = random.Random(0).choices([f"w{letter}" for letter in letters(2_500)], k=20_000)
    texts = [" ".join(words[start : start + 50]) for start in range(0, len(words), 50)]
    corpus = prepare_corpus(
        CorpusParts(documents=Documents(texts=texts, source="random words")),
        tokenizer=make_tokenizer("classic"),
        vocabulary=VocabularyRules(min_frequency=1),
        split_seed=0,
    )
    recipe = replace(sized_to(recipe, 100_000), batch_size=8, bptt=10)
    one, changing = (
        weights_after(new_trainer(corpus, recipe), counts) for counts in ([1] * 4, [2, 1, 2, 2])
    )
    assert all(map(torch.equal, one, changing))


def letters(number: int) -> list[str]:
    """Distinct words of letters."""
    return ["".join(each) for each in islice(product("abcdefghij", repeat=4), number)]
