"""What a training needs beyond weights and plan to go on exactly where it ended: plain tensors and numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from lesionlab.core.errors import CheckpointError
from lesionlab.engine.checkpoint import open_checkpoint

_SCALER = "scaler."


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a training has come; saved with the last checkpoint.

    Attributes:
        step: Optimisation steps done.
        best_dice: Of all validations; -1 before the first.
        best_step: When that was.
        fruitless: Validations since then.
        skipped: Steps left out because their loss or gradient was not finite.
        loss_sum: Of the losses since the last validation.
        loss_steps: How many losses that is; skipped steps have none.
        is_finished: Whether the last step was done or patience ran out.
    """

    step: int = 0
    best_dice: float = -1.0
    best_step: int = 0
    fruitless: int = 0
    skipped: int = 0
    loss_sum: float = 0.0
    loss_steps: int = 0
    is_finished: bool = False


def training_tensors(fabric: Fabric, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the state of optimiser and loss scaler as named tensors."""
    state = optimiser.state_dict()["state"]
    tensors = {f"{index}.{name}": value for index, entry in state.items() for name, value in entry.items()}
    scaler = fabric.strategy.precision.state_dict()
    return tensors | {_SCALER + name: torch.tensor(float(value)) for name, value in scaler.items()}


def load_training_state(
    folder: Path, network: torch.nn.Module, *, fabric: Fabric, optimiser: torch.optim.Optimizer
) -> Progress:
    """Put the state of the checkpoint in `folder` into network, optimiser and scaler; return how far it had come.

    Without a checkpoint nothing is changed and the progress is that of a fresh training.

    Raises:
        CheckpointError: There is one, but it is damaged.
    """
    if not folder.exists():
        return Progress()
    checkpoint = open_checkpoint(folder)
    tensors, numbers = checkpoint.load_training_state()
    network.load_state_dict(checkpoint.load_network().state_dict())
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if not key.startswith(_SCALER):
            index, name = key.split(".", 1)
            state.setdefault(int(index), {})[name] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
    _load_scaler(tensors, fabric)
    return _parse_progress(numbers, where=folder)


def _load_scaler(tensors: Mapping[str, Tensor], fabric: Fabric) -> None:
    fresh = fabric.strategy.precision.state_dict()
    kept = {name: type(value)(tensors[_SCALER + name]) for name, value in fresh.items() if _SCALER + name in tensors}
    if kept:
        fabric.strategy.precision.load_state_dict(fresh | kept)


def _parse_progress(numbers: Mapping[str, Any], *, where: Path) -> Progress:
    try:
        return Progress(**numbers)
    except TypeError as error:
        raise CheckpointError(
            "how far a training of this version had come",
            found=str(error),
            where=where,
            next_step="go on with the lesionlab version that began it, or train into another folder",
        ) from error
