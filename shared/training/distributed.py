"""Several processes train one model: each takes its share of a batch, gradients are summed.

`accelerate launch` and `torchrun` start them, one for each GPU. A batch is cut so that process r
of W takes every W-th of its rows from the r-th on: rows of like lengths go to different
processes, and rows that are gathered are back in the order of the batch. In one process nothing
here computes anything.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
from collections.abc import Collection, Iterator, Sequence
from typing import TypeVar

import torch
import torch.distributed as dist

from ir_replications.shared.errors import InputError

T = TypeVar("T")
_GROUPS = itertools.count()


@contextlib.contextmanager
def process_group() -> Iterator[None]:
    """The processes that a launcher started as one group, from here to the end of the block.

    NCCL and GPU number LOCAL_RANK where there are GPUs, Gloo on CPUs. Nothing at all in a process
    of its own or inside another group. Raises InputError for more processes than GPUs.
    """
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if processes == 1 or together():
        yield
        return
    if cuda := torch.cuda.is_available():
        number, gpus = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
        if number >= gpus:
            raise InputError(f"process {number + 1} of {processes} has no GPU: there are {gpus}")
        torch.cuda.set_device(number)
    # Each group has its own names: those of an earlier one would lead to its closed sockets.
    store = dist.PrefixStore(f"group-{next(_GROUPS)}", _meeting_point())
    rank = int(os.environ["RANK"])
    dist.init_process_group(
        "nccl" if cuda else "gloo", store=store, rank=rank, world_size=processes
    )
    try:
        yield
    finally:
        dist.destroy_process_group()


@functools.cache
def _meeting_point() -> dist.Store:
    """Where processes leave their addresses; the first may serve it, so it lasts to its end."""
    store, _, _ = next(iter(dist.rendezvous("env://")))
    return store


def together() -> bool:
    """Whether this process is in a group."""
    return dist.is_available() and dist.is_initialized()


def place() -> tuple[int, int]:
    """(number of this process from 0, how many there are)."""
    return (dist.get_rank(), dist.get_world_size()) if together() else (0, 1)


def is_first() -> bool:
    """Whether this process writes the files."""
    return place()[0] == 0


def check_shares(size: int, name: str) -> None:
    """Raise InputError where a batch of `size`, the setting `name`, has no equal shares.

    Among the processes of the group, or those that a launcher started to become one.
    """
    processes = place()[1] if together() else int(os.environ.get("WORLD_SIZE", "1"))
    if size % processes:
        raise InputError(
            f"{name}: {size} cannot be shared by {processes} processes; start a number of them "
            f"that divides it, or change {name}"
        )


def share(rows: Sequence[T]) -> Sequence[T]:
    """What this process takes of a batch."""
    number, processes = place()
    return rows[number::processes]


def gathered(rows: torch.Tensor) -> torch.Tensor:
    """The batch's rows, (B, ...) in its order, from each process's share (B / W, ...)."""
    if not together():
        return rows
    shares = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
    dist.all_gather(shares, rows.contiguous())
    return torch.stack(shares, dim=1).flatten(0, 1)


def total(value: float) -> float:
    """The sum of every process's value; all of them wait for it."""
    if not together():
        return value
    found = torch.tensor(value, dtype=torch.float64, device=_device())
    dist.all_reduce(found)
    return float(found)


def sum_gradients(parameters: Collection[torch.nn.Parameter]) -> None:
    """Replace each gradient by its sum over the processes."""
    if together():
        sums = [dist.all_reduce(p.grad, async_op=True) for p in parameters if p.grad is not None]
        for pending in sums:
            pending.wait()


def start_alike(parameters: Collection[torch.nn.Parameter], step: int) -> None:
    """Give every process the first one's parameters.

    Raises InputError where processes are about to start at different steps.
    """
    if not together():
        return
    steps = gathered(torch.tensor([step], device=_device())).tolist()
    if len(set(steps)) > 1:
        raise InputError(
            f"processes would go on after steps {steps}; expected all of them to see the same "
            "folder of checkpoints"
        )
    for parameter in parameters:
        dist.broadcast(parameter.data, src=0)


def _device() -> torch.device:
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")
