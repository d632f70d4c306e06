"""One training in one process or in many: the same code, started alone, by torchrun or by SLURM."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from lesionlab.core.errors import LesionlabError, OptionError
from lesionlab.core.folder_lock import lock_folder
from lesionlab.engine.precision import Wanted, precision_of


def make_training_fabric(wanted: Wanted) -> Fabric:
    """Return the launched device of this process, and its link to the other processes of one training if there are any.

    torchrun and srun say in the environment how many processes there are; without them there is one.

    Raises:
        OptionError: float16 was asked for where there is no GPU.
    """
    here, nodes = processes(os.environ)
    strategy = "ddp_find_unused_parameters_true" if here * nodes > 1 else "auto"
    fabric = Fabric(
        accelerator="auto",
        devices=here,
        num_nodes=nodes,
        strategy=strategy,
        precision=precision_of(wanted),  # type: ignore[arg-type]  # one of its literals
    )
    fabric.launch()
    return fabric


@contextmanager
def hold_folder(fabric: Fabric, folder: Path) -> Iterator[None]:
    """Let the processes of one training, and nobody else, write into a folder: the first one locks it for all.

    Raises:
        FolderInUseError, StorageError: In every process, as `lesionlab.core.folder_lock.lock_folder` in the first.
    """
    with ExitStack() as held:
        error: LesionlabError | None = None
        if fabric.is_global_zero:
            try:
                held.enter_context(lock_folder(folder))
            except LesionlabError as refusal:
                error = refusal
        error = fabric.broadcast(error)
        if error is not None:
            raise error
        yield


def processes(environment: Mapping[str, str]) -> tuple[int, int]:
    """Return how many processes of one training run on this machine, and on how many machines."""
    if "LOCAL_WORLD_SIZE" in environment:
        here = int(environment["LOCAL_WORLD_SIZE"])
        return here, int(environment["WORLD_SIZE"]) // here
    is_slurm_step = "SLURM_PROCID" in environment and int(environment.get("SLURM_STEP_NUM_TASKS", "1")) > 1
    if is_slurm_step:
        nodes = int(environment["SLURM_STEP_NUM_NODES"])
        return int(environment["SLURM_STEP_NUM_TASKS"]) // nodes, nodes
    return 1, 1


def check_share(fabric: Fabric, *, batch: int, key: str = "training.batch") -> None:
    """Refuse a batch that cannot be divided evenly among the processes.

    Args:
        fabric: Of one of them.
        batch: Samples of a step, all processes together.
        key: The recipe's, that says so.

    Raises:
        OptionError: It cannot; the mean gradient would weigh samples unequally.
    """
    if batch % fabric.world_size:
        raise OptionError(
            f"a batch that {fabric.world_size} processes can share evenly",
            found=str(batch),
            where=key,
            next_step=f"--change {key}={-(-batch // fabric.world_size) * fabric.world_size}",
        )


def summed(fabric: Fabric, values: Tensor) -> Tensor:
    """Return the sum of `values` over all processes, on the CPU and the same in each; `values` stay as they are."""
    if fabric.world_size == 1:
        return values
    together = fabric.all_reduce(values.clone(), reduce_op="sum")
    assert isinstance(together, Tensor)
    return together.cpu()


def largest(fabric: Fabric, value: float) -> float:
    """Return the largest value that any process gives, the same in each."""
    if fabric.world_size == 1:
        return value
    together = fabric.all_reduce(torch.tensor(float(value), dtype=torch.float64), reduce_op="max")
    return float(cast("Tensor", together))


def is_wanted_anywhere(fabric: Fabric, is_wanted: bool) -> bool:
    """Return whether any process says so, the same in all."""
    return bool(largest(fabric, float(is_wanted)))


def share_buffers(fabric: Fabric, network: nn.Module) -> None:
    """Give all processes the first one's buffers: running statistics of batch norms, which each keeps of its own."""
    if fabric.world_size > 1:
        for buffer in network.buffers():
            torch.distributed.broadcast(buffer, src=0)
