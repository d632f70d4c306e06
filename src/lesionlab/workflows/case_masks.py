"""The masks of a case on one grid: a prediction in a file, or what a network predicts, beside the reference."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int16

from lesionlab.core.case import Case
from lesionlab.core.grid import Grid
from lesionlab.core.labels import Labels
from lesionlab.engine.case_files import read_mask, read_mask_file
from lesionlab.engine.images import Image
from lesionlab.engine.preprocess import read_reference
from lesionlab.transforms.geometry import reorient


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseMasks:
    """A predicted and a reference mask, voxel by voxel.

    Attributes:
        predicted: Stored values that the dataset declares.
        reference: The same, ignored ones included.
        grid: Where both lie: that of the reference's file.
    """

    predicted: Int16[np.ndarray, "x y z"]
    reference: Int16[np.ndarray, "x y z"]
    grid: Grid


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceRegions:
    """The reference of a case, region by region.

    Attributes:
        masks: One per region, in the order of the labels.
        counted: False where the reference is ignored.
    """

    masks: Bool[np.ndarray, "region x y z"]
    counted: Bool[np.ndarray, "x y z"]


def read_case_masks(case: Case, prediction: Path, labels: Labels) -> CaseMasks:
    """Read the predicted and the reference mask of a case; axes of the prediction may run another way.

    Args:
        case: Has a reference.
        prediction: Any file that a mask is read from.
        labels: What the stored values of both mean.

    Raises:
        ImageError: A file is missing or damaged.
        GridError: The prediction lies elsewhere than the reference.
        LabelError: A mask holds a value that `labels` do not declare.
    """
    assert case.label is not None, "the case has a reference"
    reference = read_mask(case, labels)
    labels.check(reference.array, where=case.label)
    advice = "predict the case again on its own grid, or resample the prediction to the reference (nearest neighbour)"
    predicted = _turned(
        read_prediction(prediction, labels), reference.grid, mine=case.label, others=prediction, advice=advice
    )
    return CaseMasks(
        predicted=np.ascontiguousarray(predicted), reference=np.ascontiguousarray(reference.array), grid=reference.grid
    )


def read_prediction(prediction: Path, labels: Labels) -> Image:
    """Read a predicted mask, whatever kind of file it is, on its own grid.

    Raises:
        ImageError: The file is missing or damaged.
        LabelError: It holds a value that `labels` do not declare.
    """
    own = replace(labels, lesion_above=None, colours={})  # which are about the dataset's own files
    image = read_mask_file(prediction, own)
    own.check(image.array, where=prediction)
    return image


def on_same_axes(masks: CaseMasks, grid: Grid, *, mine: Path, others: Path, advice: str) -> CaseMasks:
    """Return the masks with axes that run as those of another grid of the same voxels.

    Args:
        masks: Of a case.
        grid: Where they belong.
        mine: A file on that grid, for messages.
        others: The file of the masks.
        advice: What to do where they lie elsewhere.

    Raises:
        GridError: They lie elsewhere.
    """
    arrays = [
        _turned(Image(array=array, grid=masks.grid, space_code=1), grid, mine=mine, others=others, advice=advice)
        for array in (masks.predicted, masks.reference)
    ]
    return CaseMasks(predicted=arrays[0], reference=arrays[1], grid=grid)


def read_reference_regions(case: Case, *, grid: Grid, modality: str, labels: Labels) -> ReferenceRegions:
    """Read the reference of a case with axes that run as those of a scan.

    Args:
        case: Has a reference.
        grid: Of the scan of `modality`.
        modality: Which image that is.
        labels: What stored values mean.

    Raises:
        LesionlabError: As `read_reference`.
    """
    stored = read_reference(case, scan=grid, modality=modality, labels=labels)
    label = reorient(stored.array, source=stored.grid, target=grid)
    return ReferenceRegions(masks=labels.regions_of(label), counted=~labels.ignored_of(label))


def _turned(image: Image, grid: Grid, *, mine: Path, others: Path, advice: str) -> Int16[np.ndarray, "x y z"]:
    grid.canonical().check_same(image.grid.canonical(), mine=mine, others=others, next_step=advice)
    turned: Int16[np.ndarray, "x y z"] = reorient(image.array, source=image.grid, target=grid)
    return turned
