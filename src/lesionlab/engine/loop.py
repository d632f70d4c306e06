"""The optimisation loop: from a plan and stored cases to the best and the last checkpoint."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias, cast

import torch
from lightning_fabric import Fabric
from torch.utils.data import default_collate

from lesionlab.core.loss import loss
from lesionlab.core.network import Diagnosed
from lesionlab.core.plan import Plan
from lesionlab.core.progress import Tracker
from lesionlab.engine.acceleration import compile_or_not, lay_out, memory_format
from lesionlab.engine.averaging import WeightAverage
from lesionlab.engine.checkpoint import build_planned_network, save_checkpoint
from lesionlab.engine.descent import Descent
from lesionlab.engine.loading import load_samples
from lesionlab.engine.loss_odds import LossOdds
from lesionlab.engine.memory import choose_parts, used_gib
from lesionlab.engine.modality_dropout import draw_presence
from lesionlab.engine.pace import Pace
from lesionlab.engine.ranks import check_share, is_wanted_anywhere, largest, share_buffers
from lesionlab.engine.recorder import Recorder
from lesionlab.engine.sample import Sample
from lesionlab.engine.schedule import planned_rate
from lesionlab.engine.start_weights import start_from
from lesionlab.engine.stopping import Stop, StopWantedError
from lesionlab.engine.store import StoredCase
from lesionlab.engine.tracking import Tracking
from lesionlab.engine.training_samples import make_sampler
from lesionlab.engine.training_state import Progress, load_training_state, training_tensors
from lesionlab.engine.validation import validate

logger = logging.getLogger(__name__)

Watch: TypeAlias = Callable[[int, float], bool]


class Loop:
    """One training: network, loss, optimiser and stored cases, set up on the device at hand.

    Args:
        plan: Every decision.
        fabric: The device, launched; one of several if several processes share the training.
        training: Stored cases to learn from.
        validation: Stored cases to choose the best weights by.
        folder: Where ``best``, ``last``, metrics.jsonl and TensorBoard's files go.
        watch: Told step and score of every validation; the training ends early when it returns True.
        mlflow: As `lesionlab.engine.tracking.Tracking` has it; None keeps nothing there.

    Raises:
        OptionError: The batch cannot be shared evenly among the processes.
        CheckpointError: An earlier training in `folder` is damaged.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        fabric: Fabric,
        training: Sequence[StoredCase],
        validation: Sequence[StoredCase],
        folder: Path,
        watch: Watch | None = None,
        mlflow: str | None = None,
    ) -> None:
        settings = plan.recipe.training
        check_share(fabric, batch=settings.batch)
        self.plan, self.fabric, self._folder, self._validation = plan, fabric, folder, validation
        torch.manual_seed(settings.seed)
        network = lay_out(build_planned_network(plan), settings)
        optimiser = torch.optim.AdamW(network.parameters(), weight_decay=settings.weight_decay)
        self.network, self.optimiser = fabric.setup(network, optimiser)
        self._loss = loss.build(plan.recipe.loss.name, **plan.recipe.loss.options).to(fabric.device)
        self._sampler = make_sampler(plan, training)
        refresh_every = plan.recipe.sampling.refresh_every * plan.steps_per_epoch
        self.odds = LossOdds(self._sampler.playlist, every_steps=refresh_every)
        self.average = self._begin_average()
        self._pace, self._watch, self._mlflow = Pace(), watch, mlflow
        self.progress = load_training_state(folder / "last", self)

    def start_from(self, sources: Sequence[str]) -> None:
        """Put weights into the network of a training that has not begun.

        Raises:
            OptionError, CheckpointError: As `lesionlab.engine.start_weights.start_from`.
        """
        assert self.progress.step == 0, "the training has begun"
        start_from(self.network.module, sources)
        self.average = self._begin_average()

    def extend(self) -> None:
        """Let a training that had come to its end go on; its plan has become longer."""
        self.progress = self.progress.extended()

    def run(self, *, workers: int, stop_after: int, stop: Stop) -> Progress:
        """Train from where the last checkpoint ended to step `stop_after`, or until patience runs out.

        Args:
            workers: Processes that prepare samples; 0 prepares them between steps. The result does not depend on it.
            stop_after: At most the plan's last step; a later call goes on from there exactly.
            stop: Ends it earlier, with a checkpoint to go on from.
        """
        last_step, is_first = min(stop_after, self.plan.total_steps), self.fabric.is_global_zero
        tracker = Tracker("training", total=last_step, done=self.progress.step, is_shown=is_first)
        recording = self._begin_recording() if is_first else nullcontext()
        with recording as recorder, tracker, stop.listening():
            try:
                self._train(recorder, tracker, workers=workers, last_step=last_step, stop=stop)
            except StopWantedError:
                logger.info("stopped as asked at step %d", self.progress.step)
            if not self.progress.is_finished:
                self._save("last")
            if recorder:
                recorder.end(is_finished=self.progress.is_finished)
        return self.progress

    def _begin_recording(self) -> Recorder:
        tracking = None if self._mlflow is None else Tracking(self._mlflow, plan=self.plan, folder=self._folder)
        return Recorder(self._folder, step=self.progress.step, tracking=tracking)

    def _train(self, recorder: Recorder | None, tracker: Tracker, *, workers: int, last_step: int, stop: Stop) -> None:
        is_alone = self.fabric.world_size == 1  # several processes must stop at the same step, so none stops within one
        batches = self._pace.timed(self._batches(workers=workers, last_step=last_step))
        with stop.polled_by(self._polling()) if is_alone else nullcontext(), closing(batches):
            self._validate_if_due(recorder, stop)  # a validation that was broken off
            descent = self._prepare_descent()
            self._pace.restart()
            for batch in batches:
                value = self._take_step(descent, batch)
                tracker.advance(self._tell(value))
                self._validate_if_due(recorder, stop)
                if self.progress.is_finished or is_wanted_anywhere(self.fabric, stop.is_wanted):
                    return

    def _tell(self, loss: float) -> str:
        """Return what the line of progress says; there is no best score before the first validation."""
        best = f", best {self.plan.chosen_by} {self.progress.best_score:.3f}" if self.progress.validated else ""
        return f"loss {loss:.3f}{best}, {used_gib(self.fabric.device):.1f} GiB"

    def _polling(self) -> tuple[torch.nn.Module, ...]:
        """Return the modules that look for a stop when called; a compiled one must not be looked into."""
        if self.plan.recipe.training.compile:
            return (self.network,)
        return (self.network.module, *([self.average.network] if self.average else []))

    def _batches(self, *, workers: int, last_step: int) -> Iterator[Sample]:
        """Yield this process's part of every batch; the odds of samples are refreshed between two of them."""
        while self.progress.step < last_step:
            first = self.progress.step
            until = self.odds.begin(first, last_step=last_step)
            yield from load_samples(
                self.fabric,
                self._sampler,
                positions=self._positions(first, until),
                batch=len(self._positions(first)),
                workers=workers,
            )

    def _positions(self, step: int, until: int | None = None) -> range:
        """Return which samples of the endless training this process sees in one step, or in all before `until`."""
        batch = self.plan.recipe.training.batch
        end = (step + 1 if until is None else until) * batch
        return range(step * batch + self.fabric.global_rank, end, self.fabric.world_size)

    def _take_step(self, descent: Descent, batch: Sample) -> float:
        settings, done = self.plan.recipe.training, self.progress
        positions = self._positions(done.step)
        for group in self.optimiser.param_groups:
            group["lr"] = planned_rate(self.plan, done.step)
        present = draw_presence(positions, self.plan.recipe)
        if settings.channels_last:
            batch = batch._replace(image=batch.image.contiguous(memory_format=memory_format(batch.image.dim() - 2)))
        stepped = descent.step(
            batch,
            present=None if present is None else present.to(self.fabric.device),
            seed=hash((settings.seed, done.step, self.fabric.global_rank)),  # dropout is a function of the step alone
        )
        if self.average and stepped.is_finite:
            self.average.update(self.network.module, step=done.step)
        if self.odds.is_used:
            self.odds.gather(self.fabric, [self._sampler.playlist.at(n) for n in positions], stepped.losses)
        self.progress = done.after_step(stepped.loss if stepped.is_finite else None, parts=descent.parts)
        return stepped.loss

    def _prepare_descent(self) -> Descent:
        """Decide how a batch goes through the network; the estimate of its memory is said before the first step."""
        settings, positions = self.plan.recipe.training, self._positions(self.progress.step)
        one = self._collate(positions[:1])
        self.network.train()
        parts = self.progress.parts or choose_parts(
            self.network,
            self._loss,
            sample=one,
            batch=len(positions),
            device=self.fabric.device,
            at_least=settings.accumulate,
        )
        if settings.compile:  # what is compiled cannot be measured
            compile_or_not(self.network.module, self.network, loss=self._loss, sample=one)
        parts = int(largest(self.fabric, float(parts)))  # each process has its own memory
        return Descent(
            self.fabric,
            network=self.network,
            optimiser=self.optimiser,
            loss=self._loss,
            clip_norm=settings.clip_norm,
            parts=parts,
            is_itemised=self.odds.is_used,
        )

    def _validate_if_due(self, recorder: Recorder | None, stop: Stop) -> None:
        done, total = self.progress, self.plan.total_steps
        if done.step == done.validated or (done.step % self.plan.validate_every and done.step != total):
            return
        pace = self._pace.numbers() | {"memory_gib": used_gib(self.fabric.device)}
        trained = (self.average.network if self.average else self.network.module).eval()
        share_buffers(self.fabric, trained)
        found = validate(trained, self._validation, self.plan, fabric=self.fabric)
        numbers = {
            **({"loss": done.mean_loss} if done.loss_steps else {}),
            **found.numbers,
            "learning_rate": planned_rate(self.plan, done.step - 1),
            "skipped_steps": float(done.skipped),
            **self._diagnose(trained),
            **pace,
        }
        patience = self.plan.recipe.validation.patience
        decided = done.after_validation(found.score, total=total, patience=patience)
        self.progress = self.fabric.broadcast(decided)  # the first process decides, so that all save and stop together
        if recorder:
            recorder.write(done.step, numbers)
            if found.picture is not None:
                recorder.show(done.step, "worst_validation_case", found.picture)
            if self._watch and self._watch(done.step, found.score):
                stop.ask()
        logger.info("step %d: loss %.4f, %s %.4f", done.step, done.mean_loss, found.chosen_by, found.score)
        for name in ("best", "last") if self.progress.best_step == done.step else ("last",):
            self._save(name)
        self._pace.restart()

    def _diagnose(self, trained: torch.nn.Module) -> dict[str, float]:
        """Return what the network says about itself on the last batch."""
        if not isinstance(trained, Diagnosed):
            return {}
        with torch.inference_mode(), self.fabric.autocast():
            return trained.diagnose(self._collate(self._positions(self.progress.step - 1)).image)

    def _collate(self, positions: Sequence[int]) -> Sample:
        batch = cast("Sample", default_collate([self._sampler[position] for position in positions]))
        return Sample(*(self.fabric.to_device(tensor) for tensor in batch))

    def _begin_average(self) -> WeightAverage | None:
        decay = self.plan.recipe.training.averaging
        return WeightAverage(self.network.module, decay=decay) if decay else None

    def _save(self, name: str) -> None:
        """Write a checkpoint from the first process; the others wait."""
        is_best = name == "best"
        if self.fabric.is_global_zero:
            save_checkpoint(
                self._folder / name,
                self.average.tensors() if is_best and self.average else self.network.state_dict(),
                plan=self.plan,
                training_state=None if is_best else training_tensors(self),
                progress=asdict(self.progress),
            )
        self.fabric.barrier()
