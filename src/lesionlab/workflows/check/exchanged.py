"""Rules that tell modalities apart by what they show."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from lesionlab.core.case import Case, Modality
from lesionlab.engine.images import Image
from lesionlab.transforms.normalise import find_foreground
from lesionlab.workflows.check.finding import Finding
from lesionlab.workflows.check.scan import Scan

BRIGHT: tuple[Modality, ...] = ("flair", "t2", "dwi")
"""Modalities in which lesions of the brain are brighter than what is around them."""

DARK: tuple[Modality, ...] = ("t1", "adc")
"""Modalities in which they are darker, or hardly seen."""

MARGIN = 0.2
"""By how much a dark modality's lesions must be brighter than a bright one's before anything is said."""

FEWEST_LESION_VOXELS = 30
RING_MM = (2.0, 10.0)
"""What lies around a lesion: from beyond its blurred edge to where other tissue begins."""

FEWEST_CASES = 5
"""Fewer cases do not tell what is usual."""

AGREEMENT = 0.3
"""Cosine above which a case's difference of two modalities is like that of the others; below minus this, opposed."""

CONSISTENT_SHARE = 0.8
"""Of the other cases, so many must agree with one another."""

COARSE_VOXELS = 64
QUANTILES = (2, 5, 10, 25, 50, 75, 90, 95, 98)
SHELLS = (0.0, 0.1, 0.25, 0.45, 0.7, 1.01)
"""Depth in the head, as a share of the largest, between which mean intensities are taken."""


def judge_lesion_brightness(scan: Scan) -> Iterator[Finding]:
    """Find cases whose lesions are bright where they should be dark and dark where they should be bright."""
    lesion = scan.lesion
    if lesion is None or np.count_nonzero(lesion) < FEWEST_LESION_VOXELS:
        return
    ring = _ring(lesion, scan)
    images = scan.fitting(lesion)
    brightness = {name: _brightness(images[name], lesion, ring=ring) for name in (*BRIGHT, *DARK) if name in images}
    for bright, dark in itertools.product(BRIGHT, DARK):
        if bright in brightness and dark in brightness and brightness[dark] - brightness[bright] > MARGIN:
            found = f"{brightness[bright]:.0%} of the lesion voxels brighter than their surroundings in {bright}"
            yield _exchanged(scan.case, bright, dark, found=f"{found} and {brightness[dark]:.0%} in {dark}")


@dataclass(frozen=True, slots=True)
class Appearances:
    """Remembers how each modality of each case looks, and finds cases in which two look the other way round."""

    cases: list[Case] = field(default_factory=list)
    looks: list[dict[Modality, Float[np.ndarray, "feature"]]] = field(default_factory=list)

    def remember(self, scan: Scan) -> None:
        """Measure the volumes of a case; pictures differ too much among themselves."""
        self.cases.append(scan.case)
        volumes = {name: image for name, image in scan.images.items() if min(image.array.shape) > 4}
        self.looks.append({name: _look(image) for name, image in volumes.items()})

    def judge(self) -> Iterator[Finding]:
        """Find cases whose difference between two modalities is the opposite of what all others agree on."""
        names = dict.fromkeys(name for look in self.looks for name in look)
        for first, second in itertools.combinations(names, 2):
            having = [position for position, look in enumerate(self.looks) if first in look and second in look]
            differences = np.array([self.looks[position][first] - self.looks[position][second] for position in having])
            for position in _opposed(differences) if len(having) >= FEWEST_CASES else []:
                found = f"the difference between the two opposite to that of the {len(having) - 1} other cases"
                yield _exchanged(self.cases[having[position]], first, second, found=found)


def _exchanged(case: Case, first: Modality, second: Modality, *, found: str) -> Finding:
    return Finding(
        rule="modalities-exchanged",
        severity="warning",
        case=case.id,
        where=f"{case.images[first]} and {case.images[second]}",
        wanted=f"{first} and {second} under their own names",
        found=found,
        next_step="look at both: the two files may be exchanged",
    )


def _opposed(differences: Float[np.ndarray, "case feature"]) -> list[int]:
    """Return the cases that point away from the median of the others, where the others point one way."""
    opposed = []
    for position in range(len(differences)):
        others = np.delete(differences, position, axis=0)
        usual = np.median(others, axis=0)
        is_consistent = np.mean([_cosine(other, usual) > AGREEMENT for other in others]) >= CONSISTENT_SHARE
        if is_consistent and _cosine(differences[position], usual) < -AGREEMENT:
            opposed.append(position)
    return opposed


def _cosine(first: Float[np.ndarray, "feature"], second: Float[np.ndarray, "feature"]) -> float:
    return float(first @ second / max(1e-12, np.linalg.norm(first) * np.linalg.norm(second)))


def _look(image: Image) -> Float[np.ndarray, "feature"]:
    """Return quantiles of the head's intensities and their means in shells of depth, on a scale from 0 to 1."""
    steps = tuple(max(1, size // COARSE_VOXELS) for size in image.array.shape)
    coarse = image.array[:: steps[0], :: steps[1], :: steps[2]]
    head = find_foreground(coarse, rule="above_background")
    if not head.any():
        return np.zeros(len(QUANTILES) + len(SHELLS) - 1)
    low, high = np.percentile(coarse[head], (1, 99))
    values = np.clip((coarse[head] - low) / max(1e-9, high - low), 0, 1)
    spacing = np.array(image.grid.spacing_mm) * steps
    depth = ndimage.distance_transform_edt(np.pad(ndimage.binary_fill_holes(head), 1), sampling=spacing)
    depth = depth[1:-1, 1:-1, 1:-1][head] / depth.max()
    shells = [values[(depth >= start) & (depth < stop)] for start, stop in itertools.pairwise(SHELLS)]
    return np.array([*np.percentile(values, QUANTILES), *(shell.mean() if shell.size else 0.5 for shell in shells)])


def _ring(lesion: Bool[np.ndarray, "x y z"], scan: Scan) -> Bool[np.ndarray, "x y z"]:
    first = next(iter(scan.images.values()))
    distance_mm = ndimage.distance_transform_edt(~lesion, sampling=first.grid.spacing_mm)
    head = find_foreground(first.array, rule="above_background")
    ring: Bool[np.ndarray, "x y z"] = (distance_mm > RING_MM[0]) & (distance_mm < RING_MM[1]) & head
    return ring


def _brightness(image: Image, lesion: Bool[np.ndarray, "x y z"], *, ring: Bool[np.ndarray, "x y z"]) -> float:
    """Return the share of lesion voxels above the median of the ring; 0.5 where nothing is around."""
    return float((image.array[lesion] > np.median(image.array[ring])).mean()) if ring.any() else 0.5
