"""The pre-training loop: from a plan and stored cases to the best and the last encoder."""

import logging
import math
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from lightning_fabric import Fabric
from pydantic import ConfigDict
from torch import Tensor
from torch.utils.data import Dataset

from lesionlab.core.pretraining import PretrainingPlan
from lesionlab.core.progress import Tracker
from lesionlab.engine.checkpoint import open_pretraining, save_checkpoint
from lesionlab.engine.descent import take_step
from lesionlab.engine.exact_convolutions import keep_thin_convolutions_exact
from lesionlab.engine.loading import load_samples
from lesionlab.engine.pretraining_network import build_pretraining_network
from lesionlab.engine.ranks import check_share, is_wanted_anywhere, summed
from lesionlab.engine.recorder import Recorder
from lesionlab.engine.sample import cut_block, random_start
from lesionlab.engine.schedule import learning_rate
from lesionlab.engine.stopping import Stop
from lesionlab.engine.store import StoredCase
from lesionlab.engine.training_state import load_optimiser, optimiser_tensors, parse_progress
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

    __pydantic_config__ = ConfigDict(extra="forbid")

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
        fabric: The device, launched; one of several if several processes share the pre-training.
        training: Stored cases to learn from.
        validation: Stored cases to choose the best weights by.
        is_healthy: Case id -> whether its patient is healthy; None where nobody said.
        folder: Where ``best``, ``last``, metrics.jsonl and TensorBoard's files go.

    Raises:
        OptionError: The batch cannot be shared evenly among the processes.
        CheckpointError: An earlier pre-training in `folder` is damaged.
    """

    def __init__(
        self,
        plan: PretrainingPlan,
        *,
        fabric: Fabric,
        training: Sequence[StoredCase],
        validation: Sequence[StoredCase],
        is_healthy: Mapping[str, bool] | None,
        folder: Path,
    ) -> None:
        self.plan = plan
        self.folder = folder
        schedule = plan.recipe.schedule
        check_share(fabric, batch=schedule.batch, key="schedule.batch")
        self._fabric = fabric
        torch.manual_seed(schedule.seed)
        network = build_pretraining_network(plan.recipe)
        keep_thin_convolutions_exact(network)
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

    def run(self, *, workers: int, stop_after: int, stop: Stop) -> PretrainingProgress:
        """Train from where the last checkpoint ended to step `stop_after`; a later call goes on from there exactly.

        Args:
            workers: Processes that prepare samples; the result does not depend on it.
            stop_after: At most the plan's last step.
            stop: Ends it earlier, after a step, with a checkpoint to go on from.
        """
        schedule, is_first = self.plan.recipe.schedule, self._fabric.is_global_zero
        last_step = min(stop_after, schedule.steps)
        tracker = Tracker("pre-training", total=last_step, done=self.progress.step, is_shown=is_first)
        recording = Recorder(self.folder, step=self.progress.step) if is_first else nullcontext()
        pairs = self._batches(self._training, workers=workers, first=self.progress.step, last=last_step)
        with recording as recorder, tracker, stop.listening(), closing(pairs):
            self._train(pairs, recorder, tracker, stop=stop)
            if self.progress.step < schedule.steps:
                self._save("last")
        return self.progress

    def _train(self, pairs: Iterable[Pair], recorder: Recorder | None, tracker: Tracker, *, stop: Stop) -> None:
        schedule, sums = self.plan.recipe.schedule, dict[str, float]()
        started, first = time.monotonic(), self.progress.step
        for pair in pairs:
            losses = self._take_step(pair)
            sums = {name: sums.get(name, 0.0) + value for name, value in losses.items()}
            step = self.progress.step
            tracker.advance(f"loss {losses['loss']:.3f}")
            if step % schedule.validate_every == 0 or step == schedule.steps:
                means = {name: value / (step - first) for name, value in sums.items()}
                speed = (step - first) / (time.monotonic() - started)
                self._validate_and_save(recorder, means | {"steps_per_second": speed})
                sums, started, first = {}, time.monotonic(), step
            if is_wanted_anywhere(self._fabric, stop.is_wanted):
                return

    def _batches(self, sampler: PairSampler, *, workers: int, first: int, last: int) -> Generator[Pair, None, None]:
        """Return this process's part of every batch."""
        size, processes = self.plan.recipe.schedule.batch, self._fabric.world_size
        positions = range(first * size + self._fabric.global_rank, last * size, processes)
        return load_samples(self._fabric, sampler, positions=positions, batch=size // processes, workers=workers)

    def _losses(self, pair: Pair, *, step: int) -> dict[str, Tensor]:
        """Return the losses of two views, and their weighted sum.

        The views are drawn from the seed, the step, and which process this is.
        """
        recipe = self.plan.recipe
        generator = np.random.default_rng([recipe.schedule.seed, 2, self._place(step)])
        views = [change(pair.image, settings=recipe.cut_out, generator=generator) for _ in range(2)]
        losses: dict[str, Tensor] = self._network(*views, pair.is_healthy if self._knows_healthy else None)
        total = torch.stack([losses[name] * objective.weight for name, objective in recipe.objectives.items()]).sum()
        return {"loss": total, **{f"loss_{name}": value for name, value in losses.items()}}

    def _place(self, step: int) -> int:
        """Return a number that no other step has, nor this step in another process."""
        return step * self._fabric.world_size + self._fabric.global_rank

    def _take_step(self, pair: Pair) -> dict[str, float]:
        """Do one optimisation step and return its losses; one that is not finite changes no weight."""
        schedule, step = self.plan.recipe.schedule, self.progress.step
        torch.manual_seed(hash((schedule.seed, self._place(step))))  # dropout is a function of the step alone
        rate = learning_rate(
            step,
            warm_up=round(schedule.warm_up * schedule.steps),
            total=schedule.steps,
            peak=schedule.learning_rate,
            final=schedule.final_learning_rate,
        )
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        losses: dict[str, Tensor] = {}

        def backward() -> Tensor:
            losses.update(self._losses(pair, step=step))
            self._fabric.backward(losses["loss"])
            return losses["loss"]

        value, is_finite = take_step(
            self._fabric, self._network, self._optimiser, backward=backward, clip_norm=schedule.clip_norm
        )
        self.progress = replace(self.progress, step=step + 1, skipped=self.progress.skipped + (not is_finite))
        return {name: float(part.detach()) for name, part in losses.items()} | {"loss": value}

    def _validate_and_save(self, recorder: Recorder | None, numbers: Mapping[str, float]) -> None:
        """Validate and save; the first process decides what is best, for all."""
        loss, step = self._fabric.broadcast(self._validation_loss()), self.progress.step
        if is_best := loss < self.progress.best_loss:
            self.progress = replace(self.progress, best_loss=loss, best_step=step)
        if recorder:
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
            losses = [self._losses(pair, step=_VALIDATION + n)["loss"].double() for n, pair in enumerate(pairs)]
        return float(summed(self._fabric, torch.stack(losses).mean())) / self._fabric.world_size

    def _save(self, name: str) -> None:
        """Write a checkpoint from the first process; the others wait."""
        if self._fabric.is_global_zero:
            save_checkpoint(
                self.folder / name,
                self._network.state_dict(),
                plan=self.plan,
                training_state=optimiser_tensors(self._optimiser, self._fabric) if name == "last" else None,
                progress=asdict(self.progress),
            )
        self._fabric.barrier()

    def _load(self) -> PretrainingProgress:
        """Put the state of the last checkpoint into network, optimiser and scaler; without one nothing changes."""
        if not (self.folder / "last").exists():
            return PretrainingProgress()
        checkpoint = open_pretraining(self.folder / "last")
        self._network.load_state_dict(checkpoint.load_weights())
        load_optimiser(checkpoint.load_optimiser(), self._optimiser, self._fabric)
        return parse_progress(PretrainingProgress, checkpoint.progress, where=self.folder / "last")
