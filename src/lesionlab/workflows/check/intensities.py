"""Rules about the values of images."""

from collections.abc import Iterator

import numpy as np

from lesionlab.engine.images import Image
from lesionlab.transforms.normalise import AIR_HU, BONE_HU, foreground_level, usual_normalisation
from lesionlab.workflows.check.finding import Finding
from lesionlab.workflows.check.scan import Scan


def judge_contrast(scan: Scan) -> Iterator[Finding]:
    """Find images in which every voxel has one value."""
    for modality, image in scan.images.items():
        if is_constant(image):
            yield scan.finding(
                "constant",
                scan.case.images[modality],
                severity="error",
                wanted="an image with contrast",
                found=f"the value {image.array.flat[0]:g} in every voxel",
                next_step="export the image again, or exclude the case",
            )


def judge_planes(scan: Scan) -> Iterator[Finding]:
    """Find volumes with planes of one value between planes with contrast: slices that were lost on the way."""
    for modality, image in scan.images.items():
        lost = _lost_planes(image)
        if lost:
            yield scan.finding(
                "lost-planes",
                scan.case.images[modality],
                severity="warning",
                wanted="contrast in every plane between the first and the last",
                found=f"none in {', '.join(lost[:8])}",
                next_step="export the image again",
            )


def judge_hounsfield_units(scan: Scan) -> Iterator[Finding]:
    """Find CT images that are not in Hounsfield units."""
    if "ct" not in scan.images:
        return
    low, high = (float(edge) for edge in (scan.images["ct"].array.min(), scan.images["ct"].array.max()))
    if low > AIR_HU and high > BONE_HU:  # without air although there is dense bone: stored without its offset
        yield scan.finding(
            "hounsfield",
            scan.case.images["ct"],
            severity="warning",
            wanted=f"Hounsfield units, with air below {AIR_HU:g}",
            found=f"values from {low:g} to {high:g}",
            next_step="convert it again with its rescale intercept; often 1024 has to be subtracted",
        )


def judge_air(scan: Scan) -> Iterator[Finding]:
    """Find volumes without air at their edges: small fields of view, cropped volumes, bright backgrounds."""
    without = [
        modality
        for modality, image in scan.images.items()
        if image.array.shape[2] > 1
        and usual_normalisation(modality) != "picture"
        and foreground_level(image.array, rule="above_background", modality=modality) == -np.inf
    ]
    if without:
        yield scan.finding(
            "no-air",
            scan.case.images[without[0]],
            severity="warning",
            wanted="edges of the scan that are clearly darker than the rest",
            found=f"none in {', '.join(without)}",
            next_step="nothing if the field of view is small: all of the scan is taken for foreground",
        )


def is_constant(image: Image) -> bool:
    """Tell whether every voxel has one value."""
    return bool((image.array == image.array.flat[0]).all())


def _lost_planes(image: Image) -> list[str]:
    """Return the planes without contrast inside a volume, such as "z = 12"; none for a 2-D image."""
    if image.array.shape[2] == 1:
        return []
    lost = []
    for axis, name in enumerate("xyz"):
        others = tuple({0, 1, 2} - {axis})
        has_contrast = np.flatnonzero(image.array.max(axis=others) > image.array.min(axis=others))
        if has_contrast.size:
            missing = np.setdiff1d(np.arange(has_contrast[0], has_contrast[-1]), has_contrast)
            lost += [f"{name} = {plane}" for plane in missing.tolist()]
    return lost
