"""Train a network from a recipe on the cases of a folder."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import lesionlab.losses
import lesionlab.networks
import lesionlab.transforms  # noqa: F401  # these three register what a recipe may name
from lesionlab.core.case import Case
from lesionlab.core.errors import LayoutError, RecipeError
from lesionlab.core.layout import Layout
from lesionlab.core.plan import Plan
from lesionlab.core.recipe import Recipe, read_recipe
from lesionlab.core.storage import write_text_atomically
from lesionlab.engine.checkpoint import open_checkpoint, recover
from lesionlab.engine.loop import Loop
from lesionlab.engine.planning import complete, divide_cases, resolve
from lesionlab.engine.start_weights import started_from
from lesionlab.engine.store import store_cases
from lesionlab.engine.training_state import Progress
from lesionlab.layouts.opening import open_layout

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What a training left behind.

    Attributes:
        folder: Of the training; ``best`` and ``last`` in it are checkpoints.
        steps: Done so far.
        best_dice: Mean Dice of the best validation.
        is_finished: False when it was stopped before its end and can go on.
    """

    folder: Path
    steps: int
    best_dice: float
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
) -> Trained:
    """Train a network, or go on exactly where an earlier call ended.

    Args:
        recipe: Name of a recipe that comes with lesionlab, or the path of a TOML file.
        data: LAYOUT:FOLDER.
        out: Where checkpoints, metrics and TensorBoard's files go.
        changes: "key.subkey=value" overrides of the recipe.
        start_from: "KIND:FILE" of weights to begin with, as far as they fit; see `lesionlab.engine.start_weights`.
        store: Where prepared cases are kept; ``out/store`` unless several trainings share one.
        workers: Processes that prepare samples.
        stop_after: End early at this step; a later call goes on.

    Raises:
        LesionlabError: Recipe, data or an earlier training in `out` cannot be used; the message says which.
    """
    layout_name, layout = open_layout(data)
    wanted = complete(read_recipe(recipe, changes=changes), layout.labels)
    _check_modalities(wanted, layout)
    training, validation = divide_cases(_with_masks(layout), wanted, where=data)
    stored = store_cases(
        (*training, *validation),
        store or out / "store",
        modalities=wanted.modalities,
        settings=wanted.preprocessing,
        labels=layout.labels,
    )
    parts = {"training": stored[: len(training)], "validation": stored[len(training) :]}
    plan = resolve(wanted, layout.labels, layout=layout_name, **parts, started_from=started_from(start_from))
    for name in ("best", "last"):
        recover(out / name)
    _check_same_plan(plan, out)
    write_text_atomically(out / "plan.json", plan.model_dump_json(indent=1))
    progress = _run(Loop(plan, **parts, folder=out), start_from, workers=workers, stop_after=stop_after)
    return Trained(folder=out, steps=progress.step, best_dice=progress.best_dice, is_finished=progress.is_finished)


def _run(loop: Loop, start_from: Sequence[str], *, workers: int, stop_after: int | None) -> Progress:
    """Begin or go on, unless the training is finished; return how far it came."""
    total = loop.plan.total_steps
    if not loop.progress.step:
        loop.start_from(start_from)
    else:
        logger.info("going on from step %d of %d", loop.progress.step, total)
    if not loop.progress.is_finished:
        loop.run(workers=workers, stop_after=total if stop_after is None else stop_after)
    return loop.progress


def _with_masks(layout: Layout) -> Sequence[Case]:
    cases = tuple(layout.cases())
    without = [case.id for case in cases if case.label is None and case.split != "test"]
    if without:
        logger.warning("%d cases have no mask and are not used: %s", len(without), ", ".join(without[:8]))
    return cases


def _check_modalities(recipe: Recipe, layout: Layout) -> None:
    missing = set(recipe.modalities) - set(layout.modalities)
    if missing:
        raise LayoutError(
            f"the modalities {', '.join(recipe.modalities)} of recipe {recipe.name}",
            found=f"{', '.join(layout.modalities)}",
            where=layout.folder,
            next_step="choose a recipe for these modalities (lesionlab list recipes)",
        )


def _check_same_plan(plan: Plan, folder: Path) -> None:
    if not (folder / "last").exists():
        return
    earlier = open_checkpoint(folder / "last").plan
    mine, theirs = plan.model_dump(mode="json"), earlier.model_dump(mode="json")  # a saved option's tuple is a list
    differing = [name for name in mine if mine[name] != theirs[name]]
    if not differing:
        return
    raise RecipeError(
        "the plan that this training began with",
        found=f"another {', '.join(differing)}",
        where=folder,
        next_step="train into another folder, or give the recipe, changes and data that this one began with",
    )
