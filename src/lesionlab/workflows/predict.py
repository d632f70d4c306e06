"""Write masks of scans on their own grids, or say of whole cases which category they belong to."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from glob import escape
from pathlib import Path
from typing import Any

import lesionlab.networks  # noqa: F401  # registers what a plan may name
from lesionlab.core.case import Case, Modality, Split
from lesionlab.core.content_key import content_key
from lesionlab.core.folder_lock import lock_folder
from lesionlab.core.image_formats import is_picture
from lesionlab.core.labels import Labels
from lesionlab.core.layout import Layout
from lesionlab.core.learned_cases import LearnedCases
from lesionlab.core.plan import Plan
from lesionlab.core.split_rule import select_split
from lesionlab.core.storage import write_bytes_atomically
from lesionlab.engine.case_loop import work_through_cases
from lesionlab.engine.checkpoint import Checkpoint, open_checkpoint
from lesionlab.engine.finished_work import FinishedWork
from lesionlab.engine.images import write_image
from lesionlab.engine.pictures import picture_of_mask
from lesionlab.engine.postprocess import to_masks
from lesionlab.engine.predictor import Predictor
from lesionlab.workflows.division import open_divided
from lesionlab.workflows.made_by import RECORD_FILE, maker_key, note_maker
from lesionlab.workflows.modality_use import (
    checked,
    match_modalities,
    prediction_key,
    report_use,
    required_modalities,
)
from lesionlab.workflows.predict_categories import predict_categories
from lesionlab.workflows.prediction_options import change_inference, change_postprocessing, check_probability_maps

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """What a prediction left behind.

    Attributes:
        files: Every mask and probability map, finished before or now.
        failures: Case id -> why it has no mask.
    """

    files: tuple[Path, ...]
    failures: dict[str, str]


def predict(
    checkpoint: Path,
    data: str,
    out: Path,
    *,
    split: Split | None = None,
    save_probabilities: bool = False,
    overlap: float | None = None,
    flips: bool | None = None,
    split_file: Path | None = None,
    require: Sequence[Modality] = (),
    threshold: float | None = None,
    smallest_lesion_mm3: float | None = None,
) -> Predicted:
    """Write ``<case>_mask.nii.gz`` for every case, on the grid of its first modality; of pictures also a PNG.

    A classifier writes ``categories.csv`` and ``categories.json`` instead: the probability of every category of every
    case; `flips` then adds the left-right mirror image. A case that fails does not stop the others. Finished cases are
    skipped when neither weights, settings nor scans have changed.

    Args:
        checkpoint: Folder of a checkpoint, or of a training (its best is used).
        data: LAYOUT:FOLDER.
        out: Where the files go.
        split: Only the cases of this part; None takes all.
        save_probabilities: Also write ``<case>_probability_<region>.nii.gz``.
        overlap: Of sliding windows; the plan's when None.
        flips: Whether to average over mirrored views; the plan's when None.
        split_file: A table that says which case is in which part; without it the dataset's own parts count.
        require: Modalities without which a case fails, also where the network has learnt to do without them.
        threshold: A voxel is lesion when its probability is above this, 0 to below 1; the checkpoint's when None. Of a
            classifier of two categories, the second is predicted then.
        smallest_lesion_mm3: Smaller lesions are removed; the checkpoint's when None.

    Raises:
        OptionError: A number is out of its range, an option means nothing to this checkpoint, or the network knows no
            such modality.
        LesionlabError: The checkpoint or the folder cannot be used at all.
    """
    opened = open_checkpoint(checkpoint)
    check_probability_maps(opened, save_probabilities=save_probabilities)
    opened = change_postprocessing(opened, threshold=threshold, smallest_lesion_mm3=smallest_lesion_mm3)
    inference = change_inference(opened, overlap=overlap, flips=flips)
    modalities = opened.plan.recipe.modalities
    required = required_modalities(require, modalities)
    _, layout = open_divided(data, split_file)
    layout = match_modalities(layout, modalities)
    cases = select_cases(layout, opened, split=split, where=data)
    used = report_use(cases, modalities)
    if known_cases := LearnedCases.of(opened.plan).overlap(cases).describe(total=len(cases)):
        logger.warning("%s", known_cases)
    with lock_folder(out):
        note_maker(opened, out)
        if opened.plan.categories:
            tables, reasons = predict_categories(
                opened, cases, out, flips=inference.flips, required=required, used=used
            )
            return Predicted(files=tables, failures=reasons)
        predictor = Predictor(opened, inference)
        meaning = written_as(opened.plan, layout.labels)
        state = _state_of(opened, [inference.model_dump(), save_probabilities, repr(meaning)])
        work = FinishedWork(out / RECORD_FILE, made_by=maker_key(opened), used=used)
        failures = work_through_cases(
            cases,
            what="predicting",
            record=work,
            key=partial(prediction_key, modalities=modalities, settings=state, required=required),
            work=checked(
                partial(_predict_case, predictor, out=out, meaning=meaning, save_probabilities=save_probabilities),
                required=required,
            ),
            files_of=partial(_files_of, out=out),
        )
        written = [file for case in cases if case.id not in failures for file in work.files(case.id)]
        return Predicted(files=tuple(written), failures=failures)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenAs:
    """The stored values of the masks that are written.

    Attributes:
        labels: What they mean.
        names: Which of their regions each of the network's is.
    """

    labels: Labels
    names: tuple[str, ...]


def written_as(plan: Plan, labels: Labels) -> WrittenAs:
    """Return the values that masks are written with: the data's own where they know the network's regions.

    So a network that learned enhancing tumour as 4 writes it as 3 where the data have it so. Where both have a single
    region, its name does not matter.
    """
    if set(plan.regions) <= set(labels.regions):
        return WrittenAs(labels=labels, names=tuple(plan.regions))
    if len(plan.regions) == len(labels.regions) == 1:
        return WrittenAs(labels=labels, names=labels.names)
    return WrittenAs(labels=plan.labels, names=tuple(plan.regions))


def select_cases(layout: Layout, checkpoint: Checkpoint, *, split: Split | None, where: str) -> Sequence[Case]:
    """Return a layout's cases, of one split if asked for.

    Raises:
        LayoutError: There is none.
        CheckpointError: The checkpoint needs modalities that the layout does not have.
    """
    checkpoint.check_modalities(layout.modalities, where=where)
    return select_split(layout.cases(), split, where=where)


def _predict_case(
    predictor: Predictor, case: Case, *, out: Path, meaning: WrittenAs, save_probabilities: bool
) -> list[Path]:
    prediction = predictor.predict(case)
    plan, grid = predictor.checkpoint.plan, prediction.grid
    masks = to_masks(
        prediction.probabilities, predictor.checkpoint.postprocessing, voxel_volume_mm3=grid.voxel_volume_mm3
    )
    files = [out / f"{case.id}_mask.nii.gz"]
    stored = meaning.labels.label_map(masks, names=meaning.names)
    if stored.inexact_voxels:
        logger.warning(
            "case %s: %d voxels lie in regions that no stored value has together; they are written with the nearest",
            case.id,
            stored.inexact_voxels,
        )
    write_image(files[0], stored.values, grid=grid, space_code=prediction.space_code)
    if _is_picture(case, plan.recipe.modalities) and grid.shape[2] == 1:
        files.append(out / f"{case.id}_mask.png")
        write_bytes_atomically(files[-1], picture_of_mask(stored.values, meaning.labels))
    if save_probabilities:
        for region, probability in zip(plan.regions, prediction.probabilities, strict=True):
            files.append(out / f"{case.id}_probability_{region}.nii.gz")
            write_image(files[-1], probability, grid=grid, space_code=prediction.space_code)
    return files


def _is_picture(case: Case, modalities: Sequence[Modality]) -> bool:
    """Return whether the first modality that the case has is a picture; its grid is that of the mask."""
    first = next(case.images[name] for name in modalities if name in case.images)
    return is_picture(first)


def _files_of(case: Case, *, out: Path) -> list[Path]:
    """Return every file that a prediction of the case, also one by another checkpoint, may have left."""
    maps = out.glob(f"{escape(case.id)}_probability_*.nii.gz")
    return [out / f"{case.id}_mask.nii.gz", out / f"{case.id}_mask.png", *maps]


def _state_of(checkpoint: Checkpoint, settings: list[Any]) -> list[Any]:
    return [content_key(sorted(checkpoint.folder.glob("*.safetensors")), settings=[
        *settings, checkpoint.postprocessing.model_dump(), checkpoint.plan.model_dump(mode="json")])]  # fmt: skip
