"""Rules about reference masks."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool
from scipy import ndimage

from lesionlab.core.errors import LabelError
from lesionlab.engine.case_files import read_file
from lesionlab.transforms.normalise import find_foreground
from lesionlab.workflows.check.finding import Finding
from lesionlab.workflows.check.scan import Scan

OUTSIDE_SHARE = 0.25
"""More of a lesion than this outside the head is no matter of its outline any more."""

EVERYWHERE_SHARE = 0.9
"""A mask of more than this share of the head outlines the head, or the background."""


def judge_label_values(scan: Scan) -> Iterator[Finding]:
    """Find masks with undeclared values."""
    if scan.mask is None or scan.case.label is None:
        return
    try:
        scan.labels.check(scan.mask.array, where=scan.case.label)
    except LabelError as error:
        yield Finding.of(error, rule="label-unknown", case=scan.case.id)


def judge_label_noise(scan: Scan) -> Iterator[Finding]:
    """Note masks whose numbers are not quite whole."""
    path = scan.case.label
    if path not in scan.headers or scan.headers[path]["bitpix"] < 32 or scan.labels.lesion_above is not None:
        return
    stored = read_file(path, scan.case.label_part).array
    noise = float(np.abs(stored - np.rint(stored)).max(initial=0))
    if noise > 0:
        yield scan.finding(
            "label-noise",
            path,
            severity="note",
            wanted="a mask of whole numbers",
            found=f"numbers up to {noise:.2g} beside them",
            next_step="nothing for lesionlab, which rounds them; other programs may cut them off",
        )


def judge_lesion(scan: Scan) -> Iterator[Finding]:
    """Note cases without a mask and masks without a lesion."""
    found, rule, next_step = "", "", ""
    if scan.case.label is None:
        rule, found, next_step = "label-missing", "no mask", "nothing, if the case is only to be predicted"
    elif scan.mask is not None and not scan.labels.regions_of(scan.mask.array).any():
        rule, found, next_step = "label-empty", "a mask without lesion", "nothing, if the patient has none"
    if found:
        where = scan.case.label or next(iter(scan.case.images.values()))
        yield scan.finding(rule, where, severity="note", wanted="an outlined lesion", found=found, next_step=next_step)


def judge_place(scan: Scan) -> Iterator[Finding]:
    """Find lesions that lie outside the head, or that fill it."""
    lesion = scan.lesion
    if lesion is None or scan.case.label is None or not lesion.any():
        return
    head = _head(scan, lesion)
    outside, filled = float((lesion & ~head).sum() / lesion.sum()), float((lesion & head).sum() / max(1, head.sum()))
    if outside > OUTSIDE_SHARE:
        yield scan.finding(
            "label-outside",
            scan.case.label,
            severity="warning",
            wanted="lesions inside the head",
            found=f"{outside:.0%} of their voxels outside it",
            next_step="look at it: the mask may be shifted, mirrored or of another patient",
        )
    if filled > EVERYWHERE_SHARE:
        yield scan.finding(
            "label-everywhere",
            scan.case.label,
            severity="warning",
            wanted="an outline of lesions",
            found=f"{filled:.0%} of the head or picture marked",
            next_step="look at it: it may be a mask of the brain, or lesion and background may be exchanged",
        )


def _head(scan: Scan, lesion: Bool[np.ndarray, "x y z"]) -> Bool[np.ndarray, "x y z"]:
    """Return what is brighter than air in any modality, with its holes filled slice by slice."""
    parts = [
        find_foreground(image.array, rule="above_background", modality=modality)
        for modality, image in scan.fitting(lesion).items()
    ]
    head = np.logical_or.reduce(parts)
    return np.stack([ndimage.binary_fill_holes(plane) for plane in np.moveaxis(head, 2, 0)], axis=2)
