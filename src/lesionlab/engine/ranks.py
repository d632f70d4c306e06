"""One training in one process or in many: the same code, started alone, by torchrun or by SLURM."""

import os
from collections.abc import Mapping

import torch
from lightning_fabric import Fabric

from lesionlab.core.errors import OptionError
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


def check_share(fabric: Fabric, *, batch: int) -> None:
    """Refuse a batch that cannot be divided evenly among the processes.

    Raises:
        OptionError: It cannot; the mean gradient would weigh samples unequally.
    """
    if batch % fabric.world_size:
        raise OptionError(
            f"a batch that {fabric.world_size} processes can share evenly",
            found=str(batch),
            where="training.batch",
            next_step=f"--change training.batch={-(-batch // fabric.world_size) * fabric.world_size}",
        )


def is_wanted_anywhere(fabric: Fabric, is_wanted: bool) -> bool:
    """Return whether any process says so, the same in all."""
    if fabric.world_size == 1:
        return is_wanted
    together = fabric.all_reduce(torch.tensor(float(is_wanted), device=fabric.device), reduce_op="max")
    assert isinstance(together, torch.Tensor)
    return bool(together > 0)
