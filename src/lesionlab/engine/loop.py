"""The optimisation loop: from a plan and stored cases to the best and the last checkpoint."""

import logging
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import cast

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.utils.data import DataLoader

from lesionlab.core.loss import loss
from lesionlab.core.network import Diagnosed
from lesionlab.core.plan import Plan
from lesionlab.core.progress import Tracker
from lesionlab.engine.checkpoint import build_planned_network, save_checkpoint
from lesionlab.engine.precision import make_fabric
from lesionlab.engine.recorder import Recorder
from lesionlab.engine.sample import Sample
from lesionlab.engine.schedule import learning_rate
from lesionlab.engine.start_weights import start_from
from lesionlab.engine.store import StoredCase
from lesionlab.engine.training_samples import make_sampler
from lesionlab.engine.training_state import Progress, load_training_state, training_tensors
from lesionlab.engine.validation import mean_dice

logger = logging.getLogger(__name__)


class Loop:
    """One training: network, loss, optimiser and stored cases, set up on the device at hand.

    Args:
        plan: Every decision.
        training: Stored cases to learn from.
        validation: Stored cases to choose the best weights by.
        folder: Where ``best``, ``last``, metrics.jsonl and TensorBoard's files go.
    """

    def __init__(
        self, plan: Plan, *, training: Sequence[StoredCase], validation: Sequence[StoredCase], folder: Path
    ) -> None:
        self.plan = plan
        self.folder = folder
        self._validation = validation
        recipe = plan.recipe
        self._fabric: Fabric = make_fabric(recipe.training.precision)
        torch.manual_seed(recipe.training.seed)
        network = build_planned_network(plan)
        optimiser = torch.optim.AdamW(network.parameters(), weight_decay=recipe.training.weight_decay)
        self._network, self._optimiser = self._fabric.setup(network, optimiser)
        self._loss = loss.build(recipe.loss.name, **recipe.loss.options).to(self._fabric.device)
        self._sampler = make_sampler(plan, training)
        self.progress = load_training_state(
            folder / "last", self._network, fabric=self._fabric, optimiser=self._optimiser
        )

    def start_from(self, sources: Sequence[str]) -> None:
        """Put weights into the network of a training that has not begun.

        Raises:
            OptionError, CheckpointError: As `lesionlab.engine.start_weights.start_from`.
        """
        assert self.progress.step == 0, "the training has begun"
        start_from(self._network.module, sources)

    def run(self, *, workers: int, stop_after: int) -> Progress:
        """Train from where the last checkpoint ended to step `stop_after`, or until patience runs out.

        Args:
            workers: Processes that prepare samples; 0 prepares them between steps. The result does not depend on it.
            stop_after: At most the plan's last step; a later call goes on from there exactly.
        """
        last_step = min(stop_after, self.plan.total_steps)
        tracker = Tracker("training", total=last_step, done=self.progress.step)
        with Recorder(self.folder, step=self.progress.step) as recorder, tracker:
            started, first = time.monotonic(), self.progress.step
            for batch in self._batches(workers=workers, last_step=last_step):
                value = self._take_step(batch)
                tracker.advance(f"loss {value:.3f}, best Dice {max(0.0, self.progress.best_dice):.3f}")
                if self.progress.step % self.plan.validate_every == 0 or self.progress.step == self.plan.total_steps:
                    speed = (self.progress.step - first) / (time.monotonic() - started)
                    self._validate_and_save(recorder, steps_per_second=speed, image=batch.image)
                    started, first = time.monotonic(), self.progress.step
                if self.progress.is_finished:
                    break
        if not self.progress.is_finished:
            self._save("last")
        return self.progress

    def _batches(self, *, workers: int, last_step: int) -> Iterable[Sample]:
        size = self.plan.recipe.training.batch
        positions = range(self.progress.step * size, last_step * size)
        loader = DataLoader(self._sampler, batch_size=size, sampler=positions, num_workers=workers)
        return cast("Iterable[Sample]", self._fabric.setup_dataloaders(loader, use_distributed_sampler=False))

    def _take_step(self, batch: Sample) -> float:
        """Do one optimisation step and return its loss; one that is not finite changes no weight and no buffer."""
        settings = self.plan.recipe.training
        torch.manual_seed(hash((settings.seed, self.progress.step)))  # dropout is a function of the step alone
        self._set_learning_rate()
        self._network.train()
        self._optimiser.zero_grad()
        buffers = [buffer.clone() for buffer in self._network.buffers()]  # batch statistics, which a NaN would spoil
        value = self._loss(self._network(batch.image), batch.reference, counted=batch.counted)
        is_finite = bool(torch.isfinite(value)) and self._descend(value)
        if not is_finite:
            for buffer, before in zip(self._network.buffers(), buffers, strict=True):
                buffer.copy_(before)
        done, loss = self.progress, float(value.detach())
        self.progress = replace(
            done,
            step=done.step + 1,
            skipped=done.skipped + (not is_finite),
            loss_sum=done.loss_sum + (loss if is_finite else 0.0),
            loss_steps=done.loss_steps + is_finite,
        )
        return loss

    def _descend(self, value: Tensor) -> bool:
        """Follow the gradient; where it is not finite, change no weight and return False."""
        self._fabric.backward(value)
        norm = self._fabric.clip_gradients(
            self._network,
            self._optimiser,
            max_norm=self.plan.recipe.training.clip_norm,
            error_if_nonfinite=False,
        )
        is_finite = norm is not None and bool(torch.isfinite(norm))
        has_scaler = bool(self._fabric.strategy.precision.state_dict())
        if is_finite or has_scaler:  # a loss scaler leaves such a step out by itself, and learns from it
            self._optimiser.step()
        return is_finite

    def _set_learning_rate(self) -> None:
        settings = self.plan.recipe.training
        unit = self.plan.steps_per_epoch if settings.schedule == "every_epoch" else 1
        total = math.ceil(self.plan.total_steps / unit)
        rate = learning_rate(
            self.progress.step // unit,
            warm_up=round(settings.warm_up * total),
            total=total,
            peak=settings.learning_rate,
            final=settings.final_learning_rate,
        )
        for group in self._optimiser.param_groups:
            group["lr"] = rate

    def _validate_and_save(self, recorder: Recorder, *, steps_per_second: float, image: Tensor) -> None:
        self._network.eval()
        dice = mean_dice(self._network, self._validation, self.plan)
        is_best = dice > self.progress.best_dice
        step, loss_steps = self.progress.step, self.progress.loss_steps
        losses = {"loss": self.progress.loss_sum / loss_steps} if loss_steps else {}
        fruitless = 0 if is_best else self.progress.fruitless + 1
        self.progress = replace(
            self.progress,
            best_dice=dice if is_best else self.progress.best_dice,
            best_step=step if is_best else self.progress.best_step,
            fruitless=fruitless,
            loss_sum=0.0,
            loss_steps=0,
            is_finished=step == self.plan.total_steps or fruitless >= self.plan.recipe.validation.patience,
        )
        numbers = losses | {
            "validation_dice": dice,
            "learning_rate": float(self._optimiser.param_groups[0]["lr"]),
            "steps_per_second": steps_per_second,
            "skipped_steps": float(self.progress.skipped),
            **self._diagnose(image),
        }
        recorder.write(step, numbers)
        logger.info("step %d: loss %.4f, validation Dice %.4f", step, numbers.get("loss", math.nan), dice)
        if is_best:
            self._save("best")
        self._save("last")

    def _diagnose(self, image: Tensor) -> dict[str, float]:
        """Return what the network says about itself on the last batch."""
        module = self._network.module
        with torch.inference_mode():
            return module.diagnose(image) if isinstance(module, Diagnosed) else {}

    def _save(self, name: str) -> None:
        is_last = name == "last"
        save_checkpoint(
            self.folder / name,
            self._network.state_dict(),
            plan=self.plan,
            training_state=training_tensors(self._fabric, self._optimiser) if is_last else None,
            progress=asdict(self.progress),
        )
