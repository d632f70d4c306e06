"""What a training needs beyond weights and plan to go on exactly where it ended: plain tensors and numbers."""

import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from pydantic import ConfigDict, TypeAdapter, ValidationError
from torch import Tensor

from lesionlab.core.errors import CheckpointError
from lesionlab.core.problems import first_problem
from lesionlab.engine.averaging import WeightAverage
from lesionlab.engine.checkpoint import open_checkpoint
from lesionlab.engine.loss_odds import LossOdds

_SCALER = "scaler."
_AVERAGE = "average."
_ODDS = "odds."

Kind = typing.TypeVar("Kind")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a training has come; saved with the last checkpoint.

    Attributes:
        step: Optimisation steps done.
        best_score: Of all validations; -1 before the first.
        best_step: When that was.
        fruitless: Validations since then.
        skipped: Steps left out because their loss or gradient was not finite.
        loss_sum: Of the losses since the last validation.
        loss_steps: How many losses that is; skipped steps have none.
        validated: Step of the last validation.
        parts: In how many parts a batch goes through the network; 0 before that was decided.
        is_finished: Whether the last step was done or patience ran out.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    step: int = 0
    best_score: float = -1.0
    best_step: int = 0
    fruitless: int = 0
    skipped: int = 0
    loss_sum: float = 0.0
    loss_steps: int = 0
    validated: int = 0
    parts: int = 0
    is_finished: bool = False

    @property
    def mean_loss(self) -> float:
        """Since the last validation; NaN when every step was skipped."""
        return self.loss_sum / self.loss_steps if self.loss_steps else math.nan

    def after_step(self, loss: float | None, *, parts: int) -> "Progress":
        """Return how far it is after a step with this loss; None for one that was skipped."""
        return replace(
            self,
            step=self.step + 1,
            parts=parts,
            skipped=self.skipped + (loss is None),
            loss_sum=self.loss_sum + (loss or 0.0),
            loss_steps=self.loss_steps + (loss is not None),
        )

    def after_validation(self, score: float, *, total: int, patience: int) -> "Progress":
        """Return how far it is after a validation; it ends with the last step, or when patience runs out."""
        is_best = score > self.best_score
        fruitless = 0 if is_best else self.fruitless + 1
        return replace(
            self,
            best_score=score if is_best else self.best_score,
            best_step=self.step if is_best else self.best_step,
            fruitless=fruitless,
            loss_sum=0.0,
            loss_steps=0,
            validated=self.step,
            is_finished=self.step == total or fruitless >= patience,
        )

    def extended(self) -> "Progress":
        """Return a finished training's progress as that of one that goes on, with its patience whole again."""
        return replace(self, is_finished=False, fruitless=0)


@typing.runtime_checkable
class Learner(typing.Protocol):
    """What of a training has a state; see `lesionlab.engine.loop.Loop`."""

    fabric: Fabric
    network: torch.nn.Module
    optimiser: torch.optim.Optimizer
    average: WeightAverage | None
    odds: LossOdds


def training_tensors(learner: Learner) -> dict[str, Tensor]:
    """Return the state of optimiser, loss scaler, average and odds as named tensors, without the network's."""
    tensors = optimiser_tensors(learner.optimiser, learner.fabric)
    averaged = learner.average.tensors() if learner.average else {}
    tensors |= {_AVERAGE + name: value for name, value in averaged.items()}
    return tensors | {_ODDS + name: value for name, value in learner.odds.tensors().items()}


def load_training_state(folder: Path, learner: Learner) -> Progress:
    """Put the state of the checkpoint in `folder` into a training; return how far it had come.

    Without a checkpoint nothing is changed and the progress is that of a fresh training.

    Raises:
        CheckpointError: There is one, but it is damaged.
    """
    if not folder.exists():
        return Progress()
    checkpoint = open_checkpoint(folder)
    tensors, numbers = checkpoint.load_training_state()
    learner.network.load_state_dict(checkpoint.load_network().state_dict())
    load_optimiser(tensors, learner.optimiser, learner.fabric)
    if learner.average:
        learner.average.load(_under(_AVERAGE, tensors))
    learner.odds.load(_under(_ODDS, tensors))
    return parse_progress(Progress, numbers, where=folder)


def optimiser_tensors(optimiser: torch.optim.Optimizer, fabric: Fabric) -> dict[str, Tensor]:
    """Return the state of optimiser and loss scaler as named tensors."""
    state = optimiser.state_dict()["state"]
    tensors = {f"{index}.{name}": value for index, entry in state.items() for name, value in entry.items()}
    scaler = fabric.strategy.precision.state_dict()
    return tensors | {_SCALER + name: torch.tensor(float(value)) for name, value in scaler.items()}


def load_optimiser(tensors: Mapping[str, Tensor], optimiser: torch.optim.Optimizer, fabric: Fabric) -> None:
    """Put the state that `optimiser_tensors` returned into optimiser and loss scaler; other tensors are left alone."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, _, name = key.partition(".")
        if index.isdigit():
            state.setdefault(int(index), {})[name] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
    fresh = fabric.strategy.precision.state_dict()
    kept = {name: type(value)(tensors[_SCALER + name]) for name, value in fresh.items() if _SCALER + name in tensors}
    if kept:
        fabric.strategy.precision.load_state_dict(fresh | kept)


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def parse_progress(kind: type[Kind], numbers: Mapping[str, Any], *, where: Path) -> Kind:
    """Return how far the training in the checkpoint `where` had come.

    Raises:
        CheckpointError: The numbers are others than `kind` has, or none.
    """
    try:
        return TypeAdapter(kind).validate_python(numbers)
    except ValidationError as error:
        problem = first_problem(error)
        raise CheckpointError(
            "how far a training of this version had come",
            found=f"{'.'.join(problem.key)}: {problem.found}",
            where=where,
            next_step="go on with the lesionlab version that began it, or train into another folder",
        ) from error
