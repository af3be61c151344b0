"""Several processes that train one model together: :class:`Processes`, started by torchrun."""

import datetime
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import torch
from torch import distributed
from torch._C._distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from lorelm.errors import InputError, LoreLMError, RecipeError, WorkerLostError
from lorelm.training.device import resolve_device

_Result = TypeVar("_Result")

_TIMEOUT: Final = datetime.timedelta(seconds=60)
"""A process that does not come to a meeting for so long is given up."""

_WRITER_TIMEOUT: Final = datetime.timedelta(days=1)
"""For what the writer does alone: numbering 2 GB takes a quarter of an hour. One that has ended is
missed at once all the same, since its connections close."""


class Processes:
    """The processes that train one model, seen from one of them.

    Each reads its columns of the batch, and all make the same update of the same weights. What
    the methods below return is the same in all of them. All processes call the same methods in
    the same order; a method waits until all have called it.

    Every method but :meth:`columns` and :meth:`own_device` raises `WorkerLostError` where another
    process has ended.

    Args:
        rank: the number of this one, from 0.
        local_rank: its number among those of its machine.
    """

    def __init__(self, *, rank: int, size: int, local_rank: int) -> None:
        self.rank: Final = rank
        self.size: Final = size
        self._local_rank: Final = local_rank
        self._waiting_for_writer: distributed.ProcessGroup | None = None

    def meet(self, backend: str) -> None:
        """Finds the others; before that, no process can do anything together with them.

        Args:
            backend: what tensors are sent with.
        """
        _meet(self._make_groups, backend)

    @property
    def is_writer(self) -> bool:
        """Whether this is the one that writes files and speaks to the user."""
        return self.rank == 0

    def own_device(self, device: torch.device) -> torch.device:
        """The device of this process, of that kind."""
        is_shared = self.size > 1 and device.type == "cuda"
        return torch.device("cuda", self._local_rank) if is_shared else device

    def columns(self, batch_size: int) -> slice:
        """Those columns of a batch that are this process's; their numbers differ by 1 at most.

        Raises:
            RecipeError: there is none for some process.
        """
        if batch_size < self.size:
            raise RecipeError(
                f"a batch of {batch_size} cannot be shared among {self.size} processes: use "
                f"--batch-size {self.size} or more, or fewer processes"
            )
        first, end = (rank * batch_size // self.size for rank in (self.rank, self.rank + 1))
        return slice(first, end)

    def sum_gradients(
        self, parameters: Iterable[torch.nn.Parameter], loss: torch.Tensor
    ) -> torch.Tensor:
        """Replaces all gradients by their sums over the processes; returns the sum of `loss`."""
        if self.size == 1:
            return loss
        gradients = [p.grad for p in parameters if p.grad is not None]
        numbers = torch.cat([*(gradient.flatten() for gradient in gradients), loss.flatten()])
        sums = torch.split(self.sum_of(numbers), [*(g.numel() for g in gradients), 1])
        for gradient, total in zip(gradients, sums[:-1], strict=True):
            gradient.copy_(total.view_as(gradient))
        return numbers[-1]

    def sum_of(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum of the tensors of all processes; `tensor` itself is overwritten with it."""
        if self.size > 1:
            _meet(distributed.all_reduce, tensor)
        return tensor

    def any_of(self, flag: bool) -> bool:
        """Whether the flag of at least one process is set."""
        return self.sum_of(torch.tensor(float(flag))).item() > 0

    def writers(self, number: float) -> float:
        """The writer's number."""
        own = number if self.is_writer else 0.0
        return self.sum_of(torch.tensor(own, dtype=torch.float64)).item()

    def by_writer(self, work: Callable[[], _Result]) -> _Result:
        """What the work returns when the writer does it: something small that can be pickled.

        The work may take hours.

        Raises:
            LoreLMError: the work raised it, in all processes.
        """
        if self.size == 1:
            return work()
        answer: list[Any] = [None]
        if self.is_writer:
            try:
                answer = [work()]
            except LoreLMError as error:
                answer = [error]
        _meet(distributed.broadcast_object_list, answer, group=self._waiting_for_writer)
        if isinstance(answer[0], LoreLMError):
            raise answer[0]
        result: _Result = answer[0]
        return result

    def writer_first(self, work: Callable[[], _Result]) -> _Result:
        """What the work returns in this process; the others begin when the writer is done.

        Raises:
            LoreLMError: the work raised it in the writer, in all processes.
        """
        done: list[_Result] = []
        self.by_writer(lambda: done.append(work()))
        return done[0] if done else work()

    def _make_groups(self, backend: str) -> None:
        store, _, _ = next(rendezvous("env://", timeout=_TIMEOUT))
        if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
            # PyTorch 2.13 keeps this store over a restart, with the addresses of the dead in it
            # (pytorch/pytorch#135712); TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 has it make a new one.
            store = PrefixStore(f"restart-{_num_restarts()}", store)
        distributed.init_process_group(
            backend, store=store, rank=self.rank, world_size=self.size, timeout=_TIMEOUT
        )
        self._waiting_for_writer = distributed.new_group(backend="gloo", timeout=_WRITER_TIMEOUT)


ALONE: Final = Processes(rank=0, size=1, local_rank=0)
"""The only process of its run; nothing waits for anything."""


@contextmanager
def join_processes(device: str) -> Iterator[Processes]:
    """Meets the other processes that torchrun has started; without torchrun, `ALONE`.

    Args:
        device: the name of the device to train on, as for `resolve_device`.

    Raises:
        InputError: there is no such device, or not one for each process.
        WorkerLostError: the others do not come.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    processes = Processes(
        rank=int(os.environ["RANK"]), size=size, local_rank=int(os.environ["LOCAL_RANK"])
    )
    processes.meet(_backend(processes.own_device(resolve_device(device))))
    yield processes
    # Not after an error: with another process lost, NCCL would wait for it here.
    distributed.destroy_process_group()


def was_restarted(processes: Processes) -> bool:
    """Whether torchrun has started the processes anew after one of them was lost.

    Of several machines, only the one with the lost process may know.
    """
    return processes.any_of(_num_restarts() > 0)


def _num_restarts() -> int:
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


def _backend(device: torch.device) -> str:
    """What tensors are sent with.

    Raises:
        InputError: there is nothing for this device, or no device for this process.
    """
    if device.type == "cpu":
        return "gloo"
    if device.type != "cuda":
        raise InputError(f"several processes cannot train on {device.type}: use --device cpu")
    if device.index >= torch.cuda.device_count():
        raise InputError(
            f"this machine has {torch.cuda.device_count()} CUDA devices, too few for one a "
            "process: give torchrun a smaller --nproc-per-node, or use --device cpu"
        )
    torch.cuda.set_device(device)
    return "cpu:gloo,cuda:nccl"  # flags and numbers on the CPU do not wait for the device


def _meet(collective: Callable[..., Any], *arguments: Any, **options: Any) -> None:
    """Does what all processes do together.

    Raises:
        WorkerLostError: one of them does not.
    """
    try:
        collective(*arguments, **options)
    except RuntimeError as error:  # gloo has no other; NCCL's is one
        raise WorkerLostError("another process of this run ended or does not answer") from error
