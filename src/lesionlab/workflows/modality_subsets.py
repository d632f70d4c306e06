"""How well one checkpoint does with every subset of its modalities."""

import csv
import io
import itertools
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

import lesionlab.networks  # noqa: F401  # registers what a plan may name
from lesionlab.core.case import Case, Split
from lesionlab.core.errors import CheckpointError, LayoutError
from lesionlab.core.folder_lock import lock_folder
from lesionlab.core.learned_cases import LearnedCases
from lesionlab.core.metric import MaskPair
from lesionlab.core.model_card import SubsetFigure
from lesionlab.core.split_rule import select_split
from lesionlab.core.storage import write_text_atomically
from lesionlab.engine.case_loop import work_on_every_case
from lesionlab.engine.checkpoint import open_checkpoint
from lesionlab.engine.postprocess import to_masks
from lesionlab.engine.predictor import Predictor
from lesionlab.engine.shown_modalities import can_do_without
from lesionlab.metrics.overlap import Dice
from lesionlab.workflows.case_masks import read_reference_regions
from lesionlab.workflows.division import open_divided
from lesionlab.workflows.modality_use import match_modalities
from lesionlab.workflows.model_card import card_subsets
from lesionlab.workflows.sealed import count_subsets

logger = logging.getLogger(__name__)

TABLE_FILE = "modality_subsets.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subsets:
    """The table of all subsets, the whole first, and the files that hold it: itself and the model card."""

    rows: tuple[SubsetFigure, ...]
    files: tuple[Path, ...]


def evaluate_subsets(
    checkpoint: Path, data: str, out: Path, *, split: Split | None = None, split_file: Path | None = None
) -> Subsets:
    """Predict and score cases with every subset of the modalities, as if the others had not been measured.

    Args:
        checkpoint: Folder of a checkpoint, or of a training (its best is used); trained with modality dropout.
        data: LAYOUT:FOLDER of cases with masks and all modalities.
        out: Where ``modality_subsets.csv`` goes.
        split: Only the cases of this part.
        split_file: Which case is in which part.

    Raises:
        CheckpointError: The network never learnt to do with fewer modalities.
        LayoutError: There is no case with a mask.
        CasesError: Some of the cases cannot be scored; each is named with its reason.
        FolderInUseError: Another command is writing into `out`.
        LesionlabError: Checkpoint or data cannot be used.
    """
    opened = open_checkpoint(checkpoint)
    _check_dropout(can_do_without(opened.plan.recipe), where=checkpoint)
    layout = match_modalities(open_divided(data, split_file)[1], opened.plan.recipe.modalities)
    opened.check_modalities(layout.modalities, where=data)
    cases = [case for case in select_split(layout.cases(), split, where=data) if case.label is not None]
    if not cases:
        raise LayoutError("cases with masks", found="none", where=data, next_step="choose another --split")
    if known_cases := LearnedCases.of(opened.plan).overlap(cases).describe(total=len(cases)):
        logger.warning("%s", known_cases)
    with lock_folder(out):
        for line in count_subsets(opened, cases, out=out, split_file=split_file).values():
            logger.warning("sealed test set: %s", line)
        predictor = Predictor(opened, opened.plan.recipe.inference)
        subsets = tuple(_subsets(opened.plan.recipe.modalities))
        dice = work_on_every_case(cases, what="subsets", work=partial(_dice_of_subsets, predictor, subsets=subsets))
        means = np.array(dice).mean(axis=0)
        rows = tuple(
            SubsetFigure(
                modalities=modalities,
                region=region,
                cases=len(cases),
                mean_dice=float(mean),
                retention=float(mean / whole) if whole else float("nan"),
            )
            for modalities, found in zip(subsets, means, strict=True)
            for region, mean, whole in zip(opened.plan.regions, found, means[0], strict=True)
        )
        write_text_atomically(out / TABLE_FILE, _table(rows))
        return Subsets(rows=rows, files=(out / TABLE_FILE, card_subsets(opened, rows)))


def _check_dropout(is_able: bool, *, where: Path) -> None:
    if not is_able:
        raise CheckpointError(
            "a network that was trained to do with fewer modalities",
            found="training.modality_dropout = 0",
            where=where,
            next_step="train with --change training.modality_dropout=0.3",
        )


def _subsets(modalities: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield all of them, then one less, and so on to each alone."""
    for count in range(len(modalities), 0, -1):
        yield from itertools.combinations(modalities, count)


def _dice_of_subsets(predictor: Predictor, case: Case, *, subsets: Sequence[tuple[str, ...]]) -> list[list[float]]:
    """Return the Dice of each region of a case, for every subset of its modalities."""
    return [_case_dice(predictor, case, modalities) for modalities in subsets]


def _case_dice(predictor: Predictor, case: Case, modalities: tuple[str, ...]) -> list[float]:
    """Return the Dice of each region of a case that has these modalities only."""
    plan, postprocessing = predictor.checkpoint.plan, predictor.checkpoint.postprocessing
    shown = replace(case, images={name: case.images[name] for name in modalities})
    prediction = predictor.predict(shown)
    grid = prediction.grid
    masks = to_masks(prediction.probabilities, postprocessing, voxel_volume_mm3=grid.voxel_volume_mm3)
    reference = read_reference_regions(shown, grid=grid, modality=modalities[0], labels=plan.labels)
    dice = Dice(both_empty=1.0)
    return [
        dice(MaskPair(predicted=mask & reference.counted, reference=true, spacing_mm=grid.spacing_mm))
        for mask, true in zip(masks, reference.masks, strict=True)
    ]


def _table(rows: Sequence[SubsetFigure]) -> str:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["modalities", "region", "cases", "mean_dice", "retention"])
    for row in rows:
        words = ["+".join(row.modalities), row.region, row.cases, f"{row.mean_dice:.6f}", f"{row.retention:.6f}"]
        writer.writerow(words)
    return stream.getvalue()
