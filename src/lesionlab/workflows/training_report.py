"""The page of a finished training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lesionlab.core.plan import Plan
from lesionlab.core.progress import track
from lesionlab.core.storage import write_text_atomically
from lesionlab.engine.checkpoint import Checkpoint, open_checkpoint
from lesionlab.engine.recorder import read_history
from lesionlab.engine.store import StoredCase
from lesionlab.engine.validation import case_dice, predict_masks
from lesionlab.pages.overlay import draw_overlay
from lesionlab.pages.training_page import ValidationCase, render_training

PAGE_FILE = "training.html"
PICTURES = 3
"""So many of the worst cases are shown."""


def write_training_page(folder: Path, validation: Sequence[StoredCase]) -> Path:
    """Write ``training.html`` into a training's folder and return its path; one that is newer than the best is kept.

    Args:
        folder: With ``best`` and metrics.jsonl.
        validation: Stored cases that chose the best weights.

    Raises:
        CheckpointError: The best checkpoint is damaged.
        StorageError: metrics.jsonl is damaged, or the page could not be written.
    """
    page, best = folder / PAGE_FILE, open_checkpoint(folder / "best")
    metrics = folder / "metrics.jsonl"
    if page.exists() and metrics.exists() and page.stat().st_mtime >= metrics.stat().st_mtime:
        return page
    history = read_history(metrics)
    cases = () if best.plan.recipe.task == "classify" else _look_at(best, validation)
    text = render_training(
        history,
        title=f"Training of {best.plan.recipe.name}",
        facts=_facts(best.plan, best.provenance["training"]),
        cases=cases,
        best_step=int(best.provenance["training"]["best_step"]),
        provenance={name: str(value) for name, value in best.provenance["versions"].items()},
    )
    write_text_atomically(page, text)
    return page


def _look_at(best: Checkpoint, validation: Sequence[StoredCase]) -> tuple[ValidationCase, ...]:
    """Return all validation cases, the worst first and those with pictures."""
    trained, plan = best.load_network(), best.plan
    found = [
        (case, predict_masks(trained, case, plan))
        for case in track(validation, what="drawing worst cases", total=len(validation))
    ]
    scored = sorted(((case_dice(masks, case, plan), case, masks) for case, masks in found), key=lambda one: one[0])
    return tuple(
        ValidationCase(case=case.id, dice=dice, png=_picture(case, masks, plan) if place < PICTURES else b"")
        for place, (dice, case, masks) in enumerate(scored)
    )


def _picture(case: StoredCase, masks: Any, plan: Plan) -> bytes:
    label = np.asarray(case.label())
    return draw_overlay(
        np.asarray(case.image()[0], dtype=np.float32),
        np.any(masks, axis=0),
        reference=np.any(plan.labels.regions_of(label), axis=0),
        ignored=plan.labels.ignored_of(label),
        spacing_mm=case.geometry.working.spacing_mm,
    )


def _facts(plan: Plan, training: dict[str, Any]) -> dict[str, str]:
    return {
        "Network": plan.recipe.network.name,
        "Loss": plan.recipe.loss.name,
        "Training cases": str(len(plan.training_cases)),
        "Validation cases": str(len(plan.validation_cases)),
        "Steps": f"{plan.total_steps:,}",
        "Best step": f"{training['best_step']:,}",
        f"Best {plan.chosen_by}": f"{training['best_score']:.3f}",
    }
