"""Train a network from a recipe on the cases of a folder."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lightning_fabric import Fabric

import lesionlab.losses
import lesionlab.networks
import lesionlab.transforms  # noqa: F401  # these three register what a recipe may name
from lesionlab.core.errors import RecipeError
from lesionlab.core.plan import Plan
from lesionlab.core.recipe import read_recipe
from lesionlab.core.storage import write_text_atomically
from lesionlab.engine.checkpoint import open_checkpoint, recover
from lesionlab.engine.loop import Loop, Watch
from lesionlab.engine.memory import free_bytes
from lesionlab.engine.patch_size import sized, with_size
from lesionlab.engine.ranks import hold_folder, make_training_fabric
from lesionlab.engine.start_weights import started_from
from lesionlab.engine.stopping import Stop
from lesionlab.engine.store import StoredCase
from lesionlab.engine.tracking import check_tracking
from lesionlab.engine.training_state import Progress
from lesionlab.workflows.division import open_divided
from lesionlab.workflows.modality_use import report_use
from lesionlab.workflows.model_card import card_training
from lesionlab.workflows.sealed import keep_sealed
from lesionlab.workflows.training_data import TrainingData, choose_cases
from lesionlab.workflows.training_report import write_training_page

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What a training left behind.

    Attributes:
        folder: Of the training; ``best`` and ``last`` in it are checkpoints.
        steps: Done so far.
        best_score: Of the best validation; -1 before the first.
        chosen_by: What that number is: "Dice", or of a classifier "auc" and the like.
        is_finished: False when it was stopped before its end and can go on.
    """

    folder: Path
    steps: int
    best_score: float
    chosen_by: str
    is_finished: bool


def train(
    recipe: str,
    data: str,
    out: Path,
    *,
    changes: Sequence[str] = (),
    start_from: Sequence[str] = (),
    store: Path | None = None,
    workers: int = 0,
    stop_after: int | None = None,
    max_time_s: float | None = None,
    extend: bool = False,
    fraction: float = 1.0,
    split_file: Path | None = None,
    fold: int | None = None,
    watch: Watch | None = None,
    mlflow: str | None = None,
) -> Trained:
    """Train a network, or go on exactly where an earlier call ended.

    SIGTERM and Ctrl-C save a checkpoint to go on from before they end it. Processes that torchrun or SLURM started
    together share one training.

    Args:
        recipe: Name of a recipe that comes with lesionlab, or the path of a TOML file.
        data: LAYOUT:FOLDER.
        out: Where checkpoints, metrics and TensorBoard's files go.
        changes: "key.subkey=value" overrides of the recipe.
        start_from: "KIND:FILE" of weights to begin with, as far as they fit; see `lesionlab.engine.start_weights`.
        store: Where prepared cases are kept; ``out/store`` unless several trainings share one.
        workers: Processes that prepare samples.
        stop_after: End early at this step; a later call goes on.
        max_time_s: End early after this time, preparation included; a later call goes on.
        extend: Let recipe or changes ask for more steps or epochs than the training in `out` began with; the learning
            rate then follows the longer schedule from where the training is.
        fraction: Share of the training patients to learn from, of every category alike; the list of a smaller share is
            part of that of a larger one.
        split_file: A table that says which case is for training, validation or test; see `lesionlab.core.split`.
        fold: The fold of the split file that validates; without it the cases keep the parts of the file.
        watch: Told step and score of every validation; the training ends early when it returns True.
        mlflow: Where MLflow keeps settings and numbers too: the file of a SQLite database, or the URL of a server.

    Raises:
        LesionlabError: Recipe, data or an earlier training in `out` cannot be used; the message says which.
    """
    stop = Stop(max_time_s=math.inf if max_time_s is None else max_time_s)
    layout_name, layout = open_divided(data, split_file, fold=fold)
    chosen = choose_cases(read_recipe(recipe, changes=changes), layout, where=data, fraction=fraction)
    ids = (case.id for case in (*chosen.training, *chosen.validation))
    sealed = keep_sealed(ids, out=out, start_from=start_from, split_file=split_file, test=chosen.test)
    fabric = make_training_fabric(chosen.recipe.training.precision)
    if fabric.is_global_zero:
        report_use((*chosen.training, *chosen.validation), chosen.recipe.modalities)
        if mlflow is not None:
            check_tracking(mlflow)
    with hold_folder(fabric, out):
        with fabric.rank_zero_first():
            parts = chosen.store(store or out / "store")
        chosen = _with_size(chosen, parts["training"], fabric=fabric, out=out)
        plan = chosen.plan(layout=layout_name, **parts, started_from=started_from(start_from))
        plan = plan.model_copy(update={"sealed": sealed})
        with fabric.rank_zero_first():
            is_longer = _begin_folder(plan, out, extend=extend)
        loop = Loop(plan, fabric=fabric, **parts, folder=out, watch=watch, mlflow=mlflow)
        if is_longer:
            loop.extend()
        progress = _run(loop, start_from, workers=workers, stop_after=stop_after, stop=stop)
        if progress.is_finished and fabric.is_global_zero:
            write_training_page(out, parts["validation"])
            card_training(out, data=layout.folder, cases=chosen.training)
    return Trained(
        folder=out,
        steps=progress.step,
        best_score=progress.best_score,
        chosen_by=plan.chosen_by,
        is_finished=progress.is_finished,
    )


def _with_size(chosen: TrainingData, cases: Sequence[StoredCase], *, fabric: Fabric, out: Path) -> TrainingData:
    """Return the data with a size of samples: the recipe's, that of an earlier training, or the largest that fits."""
    if chosen.recipe.sampling.size:
        return chosen
    with fabric.rank_zero_first():
        recover(out / "last")
    if (out / "last").exists():
        recipe = sized(chosen.recipe, open_checkpoint(out / "last").plan.recipe.sampling.size)
    else:
        free = free_bytes(fabric.device)
        recipe = with_size(chosen.recipe, cases, outputs=chosen.outputs, fabric=fabric, free_bytes=free)
    return replace(chosen, recipe=recipe)


def _begin_folder(plan: Plan, out: Path, *, extend: bool) -> bool:
    """Tidy up a training's folder and write the plan; return whether the plan makes an earlier training longer.

    Raises:
        RecipeError: An earlier training in the folder has another plan.
    """
    for name in ("best", "last"):
        recover(out / name)
    earlier = open_checkpoint(out / "last").plan if (out / "last").exists() else plan
    if not earlier.training_images:  # a plan that was made before there were keys
        images = {"training_images": plan.training_images, "validation_images": plan.validation_images}
        earlier = earlier.model_copy(update=images)
    is_longer = extend and plan.total_steps > earlier.total_steps
    _check_same_plan(plan, _with_length_of(plan, earlier) if is_longer else earlier, folder=out)
    write_text_atomically(out / "plan.json", plan.model_dump_json(indent=1))
    return is_longer


def _run(loop: Loop, start_from: Sequence[str], *, workers: int, stop_after: int | None, stop: Stop) -> Progress:
    """Begin or go on, unless the training is finished; return how far it came."""
    total = loop.plan.total_steps
    if not loop.progress.step:
        loop.start_from(start_from)
    else:
        logger.info("going on from step %d of %d", loop.progress.step, total)
    if not loop.progress.is_finished:
        loop.run(workers=workers, stop_after=total if stop_after is None else stop_after, stop=stop)
    return loop.progress


def _with_length_of(plan: Plan, earlier: Plan) -> Plan:
    """Return the earlier plan with the length of this one."""
    length = {"epochs": plan.recipe.training.epochs, "steps": plan.recipe.training.steps}
    training = earlier.recipe.training.model_copy(update=length)
    recipe = earlier.recipe.model_copy(update={"training": training})
    steps = {"total_steps": plan.total_steps, "validate_every": plan.validate_every}
    return earlier.model_copy(update={"recipe": recipe, **steps})


def _check_same_plan(plan: Plan, earlier: Plan, *, folder: Path) -> None:
    mine, theirs = plan.model_dump(mode="json"), earlier.model_dump(mode="json")  # a saved option's tuple is a list
    differing = [name for name in mine if mine[name] != theirs[name]]
    if not differing:
        return
    raise RecipeError(
        "the plan that this training began with",
        found=f"another {', '.join(differing)}",
        where=folder,
        next_step="train into another folder, give the recipe, changes and data that this one began with, or --extend",
    )
