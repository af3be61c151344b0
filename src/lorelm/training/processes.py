"""Several processes that train one model together: :class:`Processes`, started by torchrun."""

import datetime
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any, Final, TypeVar

import psutil
import torch
from torch import distributed
from torch._C._distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from lorelm.corpus.preparation import Corpus
from lorelm.errors import CorpusError, InputError, LoreLMError, RecipeError, WorkerLostError
from lorelm.training.device import resolve_device
from lorelm.training.recipe import Recipe

_Result = TypeVar("_Result")

_TIMEOUT: Final = datetime.timedelta(seconds=60)
"""A process that does not join a collective call for this long is given up."""

_MAIN_TIMEOUT: Final = datetime.timedelta(days=1)
"""For work of the main process alone: encoding 2 GB takes a quarter of an hour. A main process that
has ended is noticed at once all the same, since its connections close."""


_INTERFACE: Final = "GLOO_SOCKET_IFNAME"


class Processes:
    """The processes that train one model, seen from one of them.

    Each reads its columns of the batch, and all make the same update of the same weights. The
    methods below return the same in all processes. All processes must call the same methods in
    the same order; a method returns when all have called it.

    Every method but :meth:`columns` and :meth:`local_device` raises `WorkerLostError` where another
    process has ended.

    Args:
        rank: the number of this process, from 0.
        local_rank: its number among those of its machine.
    """

    def __init__(self, *, rank: int, size: int, local_rank: int) -> None:
        self.rank: Final = rank
        self.size: Final = size
        self._local_rank: Final = local_rank
        self._main_group: distributed.ProcessGroup | None = None

    def init_process_group(self, backend: str) -> None:
        """Connect to the other processes; call it before any collective method.

        Args:
            backend: PyTorch's name of what sends the tensors.
        """
        choose_interface()
        with _detect_lost_workers():
            store, _, _ = next(rendezvous("env://", timeout=_TIMEOUT))
            if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
                # PyTorch 2.13 keeps this store over a restart, with the addresses of ended
                # processes in it (pytorch/pytorch#135712); TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
                # makes a new one.
                store = PrefixStore(f"restart-{_num_restarts()}", store)
            distributed.init_process_group(
                backend, store=store, rank=self.rank, world_size=self.size, timeout=_TIMEOUT
            )
            self._main_group = distributed.new_group(backend="gloo", timeout=_MAIN_TIMEOUT)

    @property
    def is_main_process(self) -> bool:
        """Whether this process writes files and speaks to the user."""
        return self.rank == 0

    def local_device(self, device: torch.device) -> torch.device:
        """The device of this process, of the given type."""
        is_shared = self.size > 1 and device.type == "cuda"
        return torch.device("cuda", self._local_rank) if is_shared else device

    def columns(self, batch_size: int) -> slice:
        """The columns of a batch that belong to this process; shares differ by 1 at most.

        Raises:
            RecipeError: the batch has too few columns.
        """
        if batch_size < self.size:
            raise RecipeError(
                f"a batch of {batch_size} cannot be shared among {self.size} processes: use "
                f"a batch_size (--batch-size) of {self.size} or more, or fewer processes",
                code="recipe.batch_too_small",
            )
        first, end = (rank * batch_size // self.size for rank in (self.rank, self.rank + 1))
        return slice(first, end)

    def sum_gradients(
        self, parameters: Iterable[torch.nn.Parameter], loss: torch.Tensor
    ) -> torch.Tensor:
        """Replace all gradients by their sums over the processes; return the sum of `loss`."""
        if self.size == 1:
            return loss
        gradients = [p.grad for p in parameters if p.grad is not None]
        numbers = torch.cat([*(gradient.flatten() for gradient in gradients), loss.flatten()])
        sums = torch.split(self.all_reduce(numbers), [*(g.numel() for g in gradients), 1])
        for gradient, total in zip(gradients, sums[:-1], strict=True):
            gradient.copy_(total.view_as(gradient))
        return numbers[-1]

    def all_reduce(self, tensor: torch.Tensor) -> torch.Tensor:
        """Overwrite `tensor` with its sum over the processes, and return it."""
        if self.size > 1:
            with _detect_lost_workers():
                distributed.all_reduce(tensor)
        return tensor

    def gather_columns(self, own_LBH: torch.Tensor, batch_size: int) -> torch.Tensor:
        """Return the state of the whole batch, in float32, from the columns of each process."""
        num_layers, _, width = own_LBH.shape
        whole_LBH = torch.zeros(num_layers, batch_size, width, device=own_LBH.device)
        whole_LBH[:, self.columns(batch_size)] = own_LBH.float()
        return self.all_reduce(whole_LBH)

    def any(self, flag: bool) -> bool:
        """Whether the flag of at least one process is set."""
        return self.all_reduce(torch.tensor(float(flag))).item() > 0

    def number_from_main(self, number: float) -> float:
        """The number of the main process."""
        own = number if self.is_main_process else 0.0
        return self.all_reduce(torch.tensor(own, dtype=torch.float64)).item()

    def broadcast_from_main(self, work: Callable[[], _Result]) -> _Result:
        """Do the work in the main process and return its result (small, picklable) in all.

        The work may take hours.

        Raises:
            LoreLMError: the work raised it, in all processes.
        """
        if self.size == 1:
            return work()
        answer: list[Any] = [None]
        if self.is_main_process:
            try:
                answer = [work()]
            except LoreLMError as error:
                answer = [error]
        with _detect_lost_workers():
            distributed.broadcast_object_list(answer, group=self._main_group)
        if isinstance(answer[0], LoreLMError):
            raise answer[0]
        result: _Result = answer[0]
        return result

    def main_process_first(self, work: Callable[[], _Result]) -> _Result:
        """Do the work in every process; the others start when the main process is done.

        Raises:
            LoreLMError: the work raised it in the main process, in all processes.
        """
        done: list[_Result] = []
        self.broadcast_from_main(lambda: done.append(work()))
        return done[0] if done else work()


SINGLE_PROCESS: Final = Processes(rank=0, size=1, local_rank=0)
"""The only process of its run."""


def choose_interface(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let gloo use the network that leads to the other machines.

    By itself it asks for the address of this machine's name, which on many is 127.0.0.1.

    Raises:
        InputError: the other machines know the main one by no address that they can reach.
    """
    if _num_machines(environment) == 1 or _INTERFACE in environment:
        return
    main = environment["MASTER_ADDR"]
    address = _address_towards(main)
    if address is None or ip_address(address).is_loopback:
        raise InputError(
            f"the other machines cannot reach the main one by the name {main!r}: on each machine, "
            "name its own address in their network, as in torchrun --local-addr 192.168.0.1",
            code="processes.unreachable",
        )
    for name, addresses in psutil.net_if_addrs().items():
        if any(each.address == address for each in addresses):
            environment[_INTERFACE] = name


def _address_towards(host: str) -> str | None:
    """Return the address of this machine in the network that leads to a host."""
    try:
        [(family, kind, protocol, _, place), *_] = socket.getaddrinfo(
            host, 9, type=socket.SOCK_DGRAM
        )
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(place)  # sends nothing
            address: str = probe.getsockname()[0]
            return address
    except OSError:
        return None


@contextmanager
def join_processes(device: str) -> Iterator[Processes]:
    """Connect to the other processes that torchrun has started; without torchrun, `SINGLE_PROCESS`.

    Args:
        device: the name of the device to train on, as for `resolve_device`.

    Raises:
        InputError: there is no such device, or not one for each process.
        WorkerLostError: the others do not connect.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield SINGLE_PROCESS
        return
    processes = Processes(
        rank=int(os.environ["RANK"]), size=size, local_rank=int(os.environ["LOCAL_RANK"])
    )
    processes.init_process_group(_backend(processes.local_device(resolve_device(device))))
    yield processes
    # Not after an error: NCCL would wait here for a lost process.
    distributed.destroy_process_group()


def was_restarted(processes: Processes) -> bool:
    """Whether torchrun restarted the processes after one of them was lost.

    Of several machines, perhaps only one knows; or none, if a whole machine was lost, which counts
    from 0 again. With --max-restarts, those of several machines therefore go on wherever they can.
    """
    is_elastic = _num_machines() > 1 and int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")) > 0
    return processes.any(is_elastic or _num_restarts() > 0)


def _num_machines(environment: Mapping[str, str] = os.environ) -> int:
    return int(environment.get("GROUP_WORLD_SIZE", "1"))


def check_same_everywhere(corpus: Corpus, recipe: Recipe, processes: Processes) -> None:
    """Compare the corpus and the recipe with those of the main process.

    Raises:
        CorpusError, RecipeError: they differ.
    """
    main = processes.broadcast_from_main(lambda: (corpus.fingerprint, recipe))
    if corpus.fingerprint != main[0]:
        raise CorpusError(
            "the corpus differs from machine to machine: copy the same file to all",
            code="corpus.differs_between_machines",
        )
    if recipe != main[1]:
        raise RecipeError(
            "the recipe differs from machine to machine: give all of them the same options",
            code="recipe.differs_between_machines",
        )


def _num_restarts() -> int:
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


def _backend(device: torch.device) -> str:
    """Return PyTorch's name of what sends the tensors of a device."""
    if device.type == "cpu":
        return "gloo"
    if device.type != "cuda":
        raise InputError(
            f"several processes cannot train on {device.type}: use cpu as device (--device)",
            code="device.single_process_only",
        )
    if device.index >= torch.cuda.device_count():
        raise InputError(
            f"this machine has {torch.cuda.device_count()} CUDA devices, too few for one a "
            "process: give torchrun a smaller --nproc-per-node, or use cpu as device (--device)"
        )
    torch.cuda.set_device(device)
    return "cpu:gloo,cuda:nccl"  # flags and numbers on the CPU do not wait for the device


@contextmanager
def _detect_lost_workers() -> Iterator[None]:
    """Raise a WorkerLostError if another process does not join in an operation of all."""
    try:
        yield
    except RuntimeError as error:  # gloo has no other; NCCL's is one
        raise WorkerLostError("another process of this run ended or does not answer") from error
