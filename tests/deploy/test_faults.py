"""What is lost when a part of a service on several machines fails under load.

    python -m pytest tests/deploy/test_faults.py -p no:randomly -s

prints the table of docs/benchmarks.md.
"""

import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import pytest
from tests.conftest import PostgresServer, running_postgres
from tests.deploy.cluster import (
    Cluster,
    Program,
    Replica,
    cluster_of,
    free_port,
    redis,
    redis_url,
    wait_for,
)
from tests.deploy.load import NUM_CLIENTS, NUM_TOKENS, PROMPT, Exchange, Load
from tests.deploy.machines import Machine, three_machines

import lorelm
from lorelm.bundle import EMBEDDED_PATH
from lorelm.history.store import HistoryStore

pytestmark = [pytest.mark.system, pytest.mark.slow]

SECONDS_BEFORE: Final = 2.0
SECONDS_AFTER: Final = 4.0
SLOW_SECONDS: Final = 1.0
SECONDS_TO_WRITE: Final = 20.0
NUM_KILLS: Final = 8
NUM_TEXTS_TO_COMPARE: Final = 5

KEEPALIVE: Final = {"time": "10", "intvl": "5", "probes": "3"}
"""Of the kernel of nginx's machine, as deploy/systemd/60-lorelm-proxy.conf has it."""

LOST: Final = '"code": "proxy.unanswered"'
CUT: Final = "IncompleteRead"
HEADER: Final = (
    "| fault | requests | plain ones lost | streams cut | lost before they began | pages refused "
    "| records lost | slow | slowest, s | fault, s | normal after, s | whole after, s |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|---|\n"
)


@dataclass(frozen=True, kw_only=True)
class Service:
    """All that runs: nginx and two replicas on machines of their own, the rest on this one."""

    cluster: Cluster
    machines: Sequence[Machine]
    postgres: PostgresServer
    redis: Program
    history: str

    @property
    def replicas(self) -> Sequence[Replica]:
        return self.cluster.replicas


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder, port = tmp_path_factory.mktemp("service"), free_port()
    with three_machines() as machines:
        front, *_ = machines
        for name, value in KEEPALIVE.items():
            front.set(f"net.ipv4.tcp_keepalive_{name}", value)
        here = front.gateway
        counts = redis(here, port, folder)
        counts.start()
        limits = ("--rate-limit", "100000/minute", "--rate-limit-storage", redis_url(here, port))
        with running_postgres(here) as postgres:
            history = postgres.new_database()
            options = ("--history", history, *limits)
            with cluster_of(options, folder, machines) as cluster:
                sys.stdout.write("\n" + HEADER)
                yield Service(
                    cluster=cluster,
                    machines=machines,
                    postgres=postgres,
                    redis=counts,
                    history=history,
                )
        counts.stop()


def nothing(_service: Service) -> None:
    time.sleep(5)


def kill_workers(service: Service) -> None:
    for number in range(NUM_KILLS):
        replica = service.replicas[number % 2]
        killed = random.choice(replica.workers())
        killed.kill()
        wait_for(partial(replica.has_replaced, killed))


def restart_replicas(service: Service) -> None:
    """Upgrade: one replica after the other."""
    for replica in service.replicas:
        assert replica.stop() == 0
        time.sleep(1)
        replica.start()
        wait_for(replica.is_ready)


def reload_replicas(service: Service) -> None:
    for replica in service.replicas:
        before = replica.workers()
        replica.process.send_signal(signal.SIGHUP)
        for worker in before:
            wait_for(partial(replica.has_replaced, worker))


def stop_postgres(service: Service) -> None:
    service.postgres.kill()
    time.sleep(5)
    service.postgres.start()


def stop_redis(service: Service) -> None:
    service.redis.stop()
    time.sleep(5)
    service.redis.start()


def cut_network(service: Service) -> None:
    service.machines[1].unplug()
    time.sleep(40)
    service.machines[1].plug_in()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What clients have seen of a fault, and what is in the database.

    Attributes:
        began, mended, whole: when the fault began and ended, and when all replicas served again.
        rows: of the database: seed and text of each record.
    """

    exchanges: Sequence[Exchange]
    began: float
    mended: float
    whole: float
    rows: Counter[tuple[int, str]]

    def problems(self, *kinds: str) -> Sequence[Exchange]:
        return [e for e in self.exchanges if e.problem is not None and e.kind in kinds]

    @property
    def num_lost_records(self) -> int:
        """How many texts that a client has got are not in the database."""
        return (Counter((e.seed, e.text) for e in self.texts) - self.rows).total()

    @property
    def texts(self) -> Sequence[Exchange]:
        return [e for e in self.exchanges if e.text is not None]

    @property
    def slow(self) -> Sequence[Exchange]:
        return [e for e in self.exchanges if e.ended - e.began > SLOW_SECONDS]

    @property
    def seconds_to_normal(self) -> float:
        """From the beginning of the fault until no request fails or is slow any more."""
        bad = (*self.problems(*NUM_CLIENTS), *self.slow)
        return max([0.0, *(e.ended - self.began for e in bad)])

    def row(self, name: str) -> str:
        streams = self.problems("stream")
        num_cut = sum(e.is_cut for e in streams)
        cells = (
            *(name, len(self.exchanges), len(self.problems("plain")), num_cut),
            *(len(streams) - num_cut, len(self.problems("history"))),
            *(f"{self.num_lost_records} of {len(self.texts)}", len(self.slow)),
            f"{max(e.ended - e.began for e in self.exchanges):.2f}",
            *(f"{self.mended - self.began:.1f}", f"{self.seconds_to_normal:.1f}"),
            f"{self.whole - self.mended:.1f}",
        )
        return f"| {' | '.join(map(str, cells))} |"


def suffer(service: Service, fault: Callable[[Service], None]) -> Outcome:
    """Run a load with a fault in its middle; `fault` returns when it has been mended."""
    wait_for(service.cluster.is_ready)
    with HistoryStore(service.history) as store:
        store.prune(keep=0)
    load = Load(service.cluster.url)
    with load.running():
        time.sleep(SECONDS_BEFORE)
        began = time.monotonic()
        fault(service)
        mended = time.monotonic()
        wait_for(service.cluster.is_ready)
        served = [replica.num_texts() for replica in service.replicas]
        for replica, num_texts in zip(service.replicas, served, strict=True):
            wait_for(lambda r=replica, n=num_texts: r.num_texts() > n)
        whole = time.monotonic()
        time.sleep(SECONDS_AFTER)
    rows = rows_of(service, Counter((e.seed, e.text) for e in load.exchanges if e.text is not None))
    return Outcome(exchanges=load.exchanges, began=began, mended=mended, whole=whole, rows=rows)


def rows_of(service: Service, expected: Counter[tuple[int, str]]) -> Counter[tuple[int, str]]:
    """Return the records in the database, when all that are expected are there or time is up."""
    give_up = time.monotonic() + SECONDS_TO_WRITE
    with HistoryStore(service.history) as store:
        while True:
            rows = Counter((record.seed, record.text) for record in store.iterate())
            if not expected - rows or time.monotonic() > give_up:
                return rows
            time.sleep(0.5)


NAMES: Final[dict[Callable[[Service], None], str]] = {
    nothing: "none",
    kill_workers: f"{NUM_KILLS} workers killed, one after the other",
    restart_replicas: "both replicas stopped and started",
    reload_replicas: "models loaded anew (SIGHUP)",
    stop_postgres: "PostgreSQL stopped",
    stop_redis: "Redis stopped",
    cut_network: "network to a replica cut",
}


@pytest.mark.parametrize("fault", NAMES, ids=lambda fault: fault.__name__)
def test_a_fault_costs_what_cannot_be_saved(
    service: Service, fault: Callable[[Service], None]
) -> None:
    outcome = suffer(service, fault)
    sys.stdout.write(outcome.row(NAMES[fault]) + "\n")

    assert outcome.num_lost_records == 0
    assert all(number == 1 for number in outcome.rows.values())
    model = lorelm.load(EMBEDDED_PATH)
    for each in random.sample(outcome.texts, NUM_TEXTS_TO_COMPARE):
        length = NUM_TOKENS[each.kind]
        same = model.generate(PROMPT, seed=each.seed, max_len=length, min_len=length)
        assert each.text == same.text

    problems = outcome.problems("plain", "stream")
    # What ran in a process that was killed, or in a replica that cannot be reached any more.
    num_victims = {kill_workers: NUM_KILLS, cut_network: 1}.get(fault, 0)
    assert len(problems) <= num_victims * (NUM_CLIENTS["plain"] + NUM_CLIENTS["stream"])
    for each in problems:
        assert (CUT if each.is_cut else LOST) in str(each.problem)
    for each in outcome.problems("history"):
        assert fault is stop_postgres, each
        assert "503" in str(each.problem)
