"""Pre-train an encoder on scans without outlines."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import lesionlab.networks
import lesionlab.pretext  # noqa: F401  # these two register what a recipe may name
from lesionlab.core.case import Case
from lesionlab.core.errors import LayoutError, RecipeError
from lesionlab.core.labels import Labels
from lesionlab.core.learned_cases import keys_of
from lesionlab.core.network import network
from lesionlab.core.pretext import Pretext, pretext
from lesionlab.core.pretraining import PretrainingPlan, PretrainingRecipe, read_pretraining_recipe
from lesionlab.core.split_rule import learning_cases, test_cases
from lesionlab.engine.checkpoint import open_pretraining, recover
from lesionlab.engine.ignored_keys import refuse_ignored_keys
from lesionlab.engine.network_fit import check_encoder_fits
from lesionlab.engine.pretraining import PretrainingLoop
from lesionlab.engine.ranks import hold_folder, make_training_fabric
from lesionlab.engine.stopping import Stop
from lesionlab.engine.store import StoredCase, store_cases
from lesionlab.workflows.division import open_divided
from lesionlab.workflows.modality_use import match_modalities, report_use
from lesionlab.workflows.sealed import keep_sealed

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretrained:
    """What a pre-training left behind.

    Attributes:
        folder: Of the pre-training; ``best`` and ``last`` in it hold weights for `train --start-from own:FILE`.
        steps: Done so far.
        best_loss: Mean loss of the best validation.
        is_finished: False when it was stopped before its end and can go on.
    """

    folder: Path
    steps: int
    best_loss: float
    is_finished: bool


def pretrain(
    recipe: str,
    data: str,
    out: Path,
    *,
    changes: Sequence[str] = (),
    store: Path | None = None,
    workers: int = 0,
    stop_after: int | None = None,
    max_time_s: float | None = None,
    split_file: Path | None = None,
) -> Pretrained:
    """Pre-train the encoder of a recipe, or go on where an earlier, interrupted pre-training ended.

    SIGTERM and Ctrl-C save a checkpoint to go on from before they end it. Processes that torchrun or SLURM started
    together share one pre-training.

    Args:
        recipe: Name of a recipe for pre-training or path of a TOML file.
        data: LAYOUT:FOLDER; masks are not needed, cases of a test split are left out.
        out: Folder for ``best``, ``last``, metrics.jsonl and TensorBoard's files.
        changes: "key.subkey=value" overrides of the recipe.
        store: Folder for prepared cases; ``store`` in `out` when None.
        workers: Processes that prepare samples.
        stop_after: Stop at this step; the same call without it goes on.
        max_time_s: End early after this time, preparation included; a later call goes on.
        split_file: A table that says which case is for training, validation or test; see `lesionlab.core.split`.

    Raises:
        LesionlabError: Recipe, data or an earlier pre-training in `out` do not fit each other.
    """
    stop = Stop(max_time_s=math.inf if max_time_s is None else max_time_s)
    name, layout = open_divided(data, split_file)
    wanted = read_pretraining_recipe(recipe, changes=tuple(changes))
    refuse_ignored_keys(wanted)
    check_encoder_fits(wanted)
    cases = tuple(match_modalities(layout, wanted.modalities).cases())
    learned = learning_cases(cases, where=data)
    training, validation = _divide(learned, wanted, where=data)
    fabric = make_training_fabric(wanted.schedule.precision)
    if fabric.is_global_zero:
        report_use(learned, wanted.modalities)
    with hold_folder(fabric, out):
        ids = (case.id for case in (*training, *validation))
        sealed = keep_sealed(ids, out=out, start_from=(), split_file=split_file, test=test_cases(cases))
        with fabric.rank_zero_first():
            stored = _store([*training, *validation], wanted, layout.labels, folder=store or out / "store")
        is_healthy = _who_is_healthy([*training, *validation], stored, healthy=wanted.healthy)
        plan = PretrainingPlan(
            recipe=_complete(wanted, knows_healthy=is_healthy is not None),
            layout=name,
            training_cases=tuple(case.id for case in training),
            validation_cases=tuple(case.id for case in validation),
            sealed=sealed,
            training_images=keys_of(training),
            validation_images=keys_of(validation),
        )
        with fabric.rank_zero_first():
            recover(out / "last")
            recover(out / "best")
            _check_same_plan(plan, out)
        parts = {"training": stored[: len(training)], "validation": stored[len(training) :]}
        loop = PretrainingLoop(plan, fabric=fabric, **parts, is_healthy=is_healthy, folder=out)
        total = plan.recipe.schedule.steps
        if loop.progress.step < total:
            loop.run(workers=workers, stop_after=total if stop_after is None else stop_after, stop=stop)
    done = loop.progress
    return Pretrained(folder=out, steps=done.step, best_loss=done.best_loss, is_finished=done.step == total)


def _store(cases: Sequence[Case], recipe: PretrainingRecipe, labels: Labels, *, folder: Path) -> tuple[StoredCase, ...]:
    modalities, settings = recipe.modalities, recipe.preprocessing
    return store_cases(cases, folder, modalities=modalities, settings=settings, labels=labels)


def _divide(
    cases: Sequence[Case], recipe: PretrainingRecipe, *, where: str
) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
    """Return cases for training and validation: the layout's own, else a share of the patients."""
    groups = sorted({case.group for case in cases})
    held_out = {case.group for case in cases if case.split == "validation"}
    if not held_out and len(groups) > 1:
        count = min(len(groups) - 1, max(1, round(recipe.schedule.validation_share * len(groups))))
        held_out = set(np.random.default_rng([recipe.schedule.seed, 3]).permutation(groups)[:count].tolist())
    training = tuple(case for case in cases if case.group not in held_out)
    if not training or not held_out:
        raise LayoutError(
            "at least two patients: one to learn from and one to validate with",
            found=f"{len(groups)}",
            where=where,
            next_step="add scans, or move some out of the test split",
        )
    return training, tuple(case for case in cases if case.group in held_out)


def _who_is_healthy(
    cases: Sequence[Case], stored: Sequence[StoredCase], *, healthy: Sequence[str]
) -> dict[str, bool] | None:
    """Return who is healthy by category, else by an empty mask; None where it is not known of everybody."""
    known: dict[str, bool] = {}
    for case, prepared in zip(cases, stored, strict=True):
        if case.category is not None:
            known[case.id] = case.category in healthy
        elif case.label is not None:
            known[case.id] = not bool(np.any(prepared.label()))
    return known if len(known) == len(cases) else None


def _complete(recipe: PretrainingRecipe, *, knows_healthy: bool) -> PretrainingRecipe:
    """Return the recipe with the objectives that the data allow, and all options filled in and checked."""
    kept = dict(recipe.objectives)
    for name in recipe.objectives:
        maker: type[Pretext] = pretext.get(name)  # type: ignore[assignment]  # every registered objective is a class
        if maker.needs_categories and not knows_healthy:
            logger.warning("not every case has a category or a mask: the objective %s is left out", name)
            del kept[name]
    if not kept:
        raise RecipeError(
            "an objective that needs no categories",
            found=", ".join(recipe.objectives),
            where="objectives",
            next_step="add one, such as inpainting, or say which cases are healthy",
        )
    sizes = {"modalities": len(recipe.modalities), "channels": 16}
    objectives = {
        name: one.model_copy(update={"options": _checked(name, {**one.options, **sizes}, sizes)})
        for name, one in kept.items()
    }
    given = {"modalities": len(recipe.modalities), "regions": 1}
    options = network.check(recipe.network.name, {**recipe.network.options, **given})
    chosen = recipe.network.model_copy(update={"options": {k: v for k, v in options.items() if k not in given}})
    return recipe.model_copy(update={"objectives": objectives, "network": chosen})


def _checked(name: str, options: dict[str, object], sizes: dict[str, int]) -> dict[str, object]:
    return {key: value for key, value in pretext.check(name, options).items() if key not in sizes}


def _check_same_plan(plan: PretrainingPlan, folder: Path) -> None:
    if not (folder / "last").exists():
        return
    earlier = open_pretraining(folder / "last").plan
    if not earlier.training_images:  # a plan that was made before there were keys
        images = {"training_images": plan.training_images, "validation_images": plan.validation_images}
        earlier = earlier.model_copy(update=images)
    mine, theirs = (one.model_dump(mode="json") for one in (plan, earlier))
    differing = [name for name in mine if mine[name] != theirs[name]]
    if differing:
        raise RecipeError(
            "the plan that this pre-training began with",
            found=f"another {', '.join(differing)}",
            where=folder,
            next_step="choose another folder, or give the recipe, changes and data that this one began with",
        )
