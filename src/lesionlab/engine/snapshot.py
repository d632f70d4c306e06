"""One slice of a case with both outlines, as plain colours for TensorBoard."""

from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, UInt8
from scipy.ndimage import binary_dilation

from lesionlab.core.labels import Labels
from lesionlab.engine.store import StoredCase

Picture: TypeAlias = UInt8[np.ndarray, "row column 3"]

REFERENCE, PREDICTED = (255, 176, 0), (51, 187, 238)
"""Amber and sky blue, as in the report's pictures."""


def draw_snapshot(case: StoredCase, predicted: Bool[np.ndarray, "x y z"], *, labels: Labels) -> Picture:
    """Return the axial slice with most lesion in either mask, or the middle one where both are empty.

    The first modality in grey, the reference's outline in amber, the prediction's in sky blue; radiological view.

    Args:
        case: Stored, with a mask.
        predicted: On its voxels.
        labels: What the values of its mask mean.
    """
    reference = np.any(labels.regions_of(np.asarray(case.label())), axis=0)
    area = (reference | predicted).sum(axis=(0, 1))
    z = int(area.argmax()) if area.any() else len(area) // 2
    plane = np.asarray(case.image()[0, ..., z])
    darkest, brightest = np.percentile(plane, [1, 99.5])
    grey = np.clip((plane - darkest) / max(brightest - darkest, 1e-6), 0, 1) * 255
    colours = np.repeat(grey.astype(np.uint8)[..., None], 3, axis=-1)
    for mask, colour in ((reference[..., z], REFERENCE), (predicted[..., z], PREDICTED)):
        colours[binary_dilation(mask) & ~mask] = colour
    return np.ascontiguousarray(colours.transpose(1, 0, 2)[::-1, ::-1])
