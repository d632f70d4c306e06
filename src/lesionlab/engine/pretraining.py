"""The pre-training loop: from a plan and stored cases to the best and the last encoder."""

import logging
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lesionlab.core.pretraining import PretrainingPlan
from lesionlab.core.progress import Tracker
from lesionlab.engine.checkpoint import open_pretraining, save_checkpoint
from lesionlab.engine.precision import make_fabric
from lesionlab.engine.pretraining_network import build_pretraining_network
from lesionlab.engine.recorder import Recorder
from lesionlab.engine.sample import cut_block, random_start
from lesionlab.engine.schedule import learning_rate
from lesionlab.engine.store import StoredCase
from lesionlab.engine.views import change

logger = logging.getLogger(__name__)

_VALIDATION = 2**31
"""Steps of validation are numbered from here on, so that its views are none of training's and always the same."""


class Pair(NamedTuple):
    """What one sample of pre-training is.

    Attributes:
        image: (paired_modality, x, y, z): a patch, then the same patch of the mirror image.
        is_healthy: A single truth value; False where nobody said.
    """

    image: Tensor
    is_healthy: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainingProgress:
    """How far a pre-training has come; saved with its checkpoints.

    Attributes:
        step: Optimisation steps done.
        best_loss: Of all validations; infinite before the first.
        best_step: When that was.
        skipped: Steps left out because their loss or gradient was not finite.
    """

    step: int = 0
    best_loss: float = math.inf
    best_step: int = 0
    skipped: int = 0


class PairSampler(Dataset[Pair]):
    """The whole pre-training as one list of patches: patch n is drawn from the seed and n alone.

    Args:
        cases: Of the store, straightened.
        is_healthy: Of each case; None where nobody said of all of them.
        size: Of patches.
        seed: Of the plan.
    """

    def __init__(
        self,
        cases: Sequence[StoredCase],
        is_healthy: Sequence[bool] | None,
        *,
        size: tuple[int, int, int],
        seed: int,
    ) -> None:
        self._cases = cases
        self._is_healthy = is_healthy or [False] * len(cases)
        self._size = size
        self._seed = seed

    def __getitem__(self, position: int) -> Pair:
        """Return patch `position` of the endless pre-training; each epoch sees every case once."""
        epoch, place = divmod(position, len(self._cases))
        chosen = int(np.random.default_rng([self._seed, 0, epoch]).permutation(len(self._cases))[place])
        image = self._cases[chosen].image()
        generator = np.random.default_rng([self._seed, 1, position])
        block, _ = cut_block(
            image,
            np.broadcast_to(np.uint8(0), image.shape[1:]),
            start=random_start(image.shape[1:], self._size, generator=generator),
            size=self._size,
            background=self._cases[chosen].background,
            is_mirrored=True,
        )
        return Pair(torch.from_numpy(np.ascontiguousarray(block)), torch.tensor(self._is_healthy[chosen]))


class PretrainingLoop:
    """One pre-training: network, optimiser and stored cases, set up on the device at hand.

    Args:
        plan: Every decision.
        training: Stored cases to learn from.
        validation: Stored cases to choose the best weights by.
        is_healthy: Case id -> whether its patient is healthy; None where nobody said.
        folder: Where ``best``, ``last``, metrics.jsonl and TensorBoard's files go.
    """

    def __init__(
        self,
        plan: PretrainingPlan,
        *,
        training: Sequence[StoredCase],
        validation: Sequence[StoredCase],
        is_healthy: Mapping[str, bool] | None,
        folder: Path,
    ) -> None:
        self.plan = plan
        self.folder = folder
        schedule = plan.recipe.schedule
        self._fabric: Fabric = make_fabric(schedule.precision)
        torch.manual_seed(schedule.seed)
        network = build_pretraining_network(plan.recipe)
        optimiser = torch.optim.AdamW(network.parameters(), weight_decay=schedule.weight_decay)
        self._network, self._optimiser = self._fabric.setup(network, optimiser)
        self._knows_healthy = is_healthy is not None
        self._training, self._validation = (
            PairSampler(
                cases,
                None if is_healthy is None else [is_healthy[case.id] for case in cases],
                size=plan.recipe.size,
                seed=schedule.seed,
            )
            for cases in (training, validation)
        )
        self._validation_size = len(validation)
        self.progress = self._load()

    def run(self, *, workers: int, stop_after: int) -> PretrainingProgress:
        """Train from where the last checkpoint ended to step `stop_after`; a later call goes on from there exactly.

        Args:
            workers: Processes that prepare samples; the result does not depend on it.
            stop_after: At most the plan's last step.
        """
        schedule = self.plan.recipe.schedule
        last_step = min(stop_after, schedule.steps)
        tracker = Tracker("pre-training", total=last_step, done=self.progress.step)
        sums: dict[str, float] = {}
        with Recorder(self.folder, step=self.progress.step) as recorder, tracker:
            started, first = time.monotonic(), self.progress.step
            for pair in self._batches(self._training, workers=workers, first=first, last=last_step):
                losses = self._take_step(pair)
                sums = {name: sums.get(name, 0.0) + value for name, value in losses.items()}
                step = self.progress.step
                tracker.advance(f"loss {losses['loss']:.3f}")
                if step % schedule.validate_every == 0 or step == schedule.steps:
                    means = {name: value / (step - first) for name, value in sums.items()}
                    speed = (step - first) / (time.monotonic() - started)
                    self._validate_and_save(recorder, means | {"steps_per_second": speed})
                    sums, started, first = {}, time.monotonic(), step
        if self.progress.step < schedule.steps:
            self._save("last")
        return self.progress

    def _batches(self, sampler: PairSampler, *, workers: int, first: int, last: int) -> Iterable[Pair]:
        size = self.plan.recipe.schedule.batch
        loader = DataLoader(sampler, batch_size=size, sampler=range(first * size, last * size), num_workers=workers)
        return cast("Iterable[Pair]", self._fabric.setup_dataloaders(loader, use_distributed_sampler=False))

    def _losses(self, pair: Pair, *, step: int) -> dict[str, Tensor]:
        """Return the losses of two views that are drawn from the seed and the step alone, and their weighted sum."""
        recipe = self.plan.recipe
        generator = np.random.default_rng([recipe.schedule.seed, 2, step])
        views = [change(pair.image, settings=recipe.cut_out, generator=generator) for _ in range(2)]
        losses: dict[str, Tensor] = self._network(*views, pair.is_healthy if self._knows_healthy else None)
        total = torch.stack([losses[name] * objective.weight for name, objective in recipe.objectives.items()]).sum()
        return {"loss": total, **{f"loss_{name}": value for name, value in losses.items()}}

    def _take_step(self, pair: Pair) -> dict[str, float]:
        """Do one optimisation step and return its losses; one that is not finite changes no weight."""
        schedule, step = self.plan.recipe.schedule, self.progress.step
        torch.manual_seed(hash((schedule.seed, step)))  # dropout is a function of the step alone
        rate = learning_rate(
            step,
            warm_up=round(schedule.warm_up * schedule.steps),
            total=schedule.steps,
            peak=schedule.learning_rate,
            final=schedule.final_learning_rate,
        )
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._network.train()
        self._optimiser.zero_grad()
        losses = self._losses(pair, step=step)
        self._fabric.backward(losses["loss"])
        norm = self._fabric.clip_gradients(
            self._network, self._optimiser, max_norm=schedule.clip_norm, error_if_nonfinite=False
        )
        is_finite = norm is not None and bool(torch.isfinite(norm))
        if is_finite:
            self._optimiser.step()
        self.progress = replace(self.progress, step=step + 1, skipped=self.progress.skipped + (not is_finite))
        return {name: float(value.detach()) for name, value in losses.items()}

    def _validate_and_save(self, recorder: Recorder, numbers: Mapping[str, float]) -> None:
        loss, step = self._validation_loss(), self.progress.step
        if is_best := loss < self.progress.best_loss:
            self.progress = replace(self.progress, best_loss=loss, best_step=step)
        recorder.write(step, {**numbers, "validation_loss": loss, "skipped_steps": float(self.progress.skipped)})
        logger.info("step %d: loss %.4f, validation loss %.4f", step, numbers["loss"], loss)
        if is_best:
            self._save("best")
        self._save("last")

    def _validation_loss(self) -> float:
        """Return the mean loss of the validation cases in one order, place and view, whenever it is asked."""
        self._network.eval()
        batches = math.ceil(self._validation_size / self.plan.recipe.schedule.batch)
        pairs = self._batches(self._validation, workers=0, first=0, last=batches)
        with torch.inference_mode():
            found = [float(self._losses(pair, step=_VALIDATION + n)["loss"]) for n, pair in enumerate(pairs)]
        return float(np.mean(found))

    def _save(self, name: str) -> None:
        state = self._optimiser.state_dict()["state"]
        tensors = {f"{index}.{key}": value for index, entry in state.items() for key, value in entry.items()}
        save_checkpoint(
            self.folder / name,
            self._network.state_dict(),
            plan=self.plan,
            training_state=tensors if name == "last" else None,
            progress=asdict(self.progress),
        )

    def _load(self) -> PretrainingProgress:
        """Put the state of the last checkpoint into network and optimiser; without one nothing changes."""
        if not (self.folder / "last").exists():
            return PretrainingProgress()
        checkpoint = open_pretraining(self.folder / "last")
        self._network.load_state_dict(checkpoint.load_weights())
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in checkpoint.load_optimiser().items():
            index, _, name = key.partition(".")
            state.setdefault(int(index), {})[name] = value
        self._optimiser.load_state_dict({**self._optimiser.state_dict(), "state": state})
        return PretrainingProgress(**checkpoint.progress)
