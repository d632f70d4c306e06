"""Rules about files that show the same patient."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from lesionlab.core.case import Case, Modality
from lesionlab.engine.images import Image
from lesionlab.workflows.check.finding import Finding
from lesionlab.workflows.check.intensities import is_constant
from lesionlab.workflows.check.scan import Scan

FEWEST_MASK_VOXELS = 20
"""Smaller masks may be alike by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    case: Case
    where: str
    exact: bytes


@dataclass(frozen=True, slots=True)
class Copies:
    """Remembers what cases showed, by digests alone, and finds what was shown before."""

    images: dict[bytes, _Seen] = field(default_factory=dict)
    masks: dict[bytes, _Seen] = field(default_factory=dict)

    def judge(self, scan: Scan) -> Iterator[Finding]:
        """Find images that an earlier file, of this or another case, already showed, and masks of another patient.

        Neither compression nor header matters, and neither do mirroring, turning, and padding or cropping of empty
        space.
        """
        has_copy = False
        for modality, image in scan.images.items():
            if is_constant(image):
                continue
            where = str(scan.case.images[modality])
            mine = _Seen(case=scan.case, where=where, exact=_digest(image.array))
            earlier = self.images.setdefault(_digest_in_any_order(image), mine)
            if earlier is not mine:
                has_copy = True
                is_one_file = earlier.where == mine.where
                yield _repeated_channel(scan, modality) if is_one_file else _copied_image(scan, mine, earlier=earlier)
        if not has_copy:
            yield from self._judge_mask(scan)

    def _judge_mask(self, scan: Scan) -> Iterator[Finding]:
        if scan.mask is None or np.count_nonzero(scan.mask.array) < FEWEST_MASK_VOXELS:
            return
        mine = _Seen(case=scan.case, where=str(scan.case.label), exact=_digest(scan.mask.array))
        earlier = self.masks.setdefault(mine.exact, mine)
        if earlier.case.group != scan.case.group and scan.case.label is not None:
            yield scan.finding(
                "mask-copy",
                scan.case.label,
                severity="warning",
                wanted="a mask of its own for each patient",
                found=f"the mask of case {earlier.case.id}, {earlier.where}",
                next_step="find out which of the two patients it belongs to",
            )


def _repeated_channel(scan: Scan, modality: Modality) -> Finding:
    return scan.finding(
        "repeated-channel",
        scan.case.images[modality],
        severity="note",
        wanted="modalities that differ from one another",
        found=f"what {modality} shows also under another name in the same file",
        next_step="nothing, if the dataset's authors put one sequence in the place of another that was not acquired",
    )


def _copied_image(scan: Scan, mine: _Seen, *, earlier: _Seen) -> Finding:
    first, second = earlier.case, scan.case
    is_leak = first.id != second.id and None not in (first.split, second.split) and first.split != second.split
    shown = "the same voxels as in" if mine.exact == earlier.exact else "the voxels, mirrored, turned or padded, of"
    parts = f" ({first.split} and {second.split})" if is_leak else ""
    return Finding(
        rule="leaked-copy" if is_leak else "copy" if mine.exact == earlier.exact else "mirrored-copy",
        severity="error" if is_leak else "warning",
        case=second.id,
        where=mine.where,
        wanted="images that differ from one another",
        found=f"{shown} {earlier.where}{parts}",
        next_step="remove one: a patient in both training and test spoils every score",
    )


def _digest(array: np.ndarray) -> bytes:
    shape = ",".join(map(str, array.shape)).encode()
    return hashlib.blake2b(np.ascontiguousarray(array).data, digest_size=16, key=shape).digest()


def _digest_in_any_order(image: Image) -> bytes:
    """Return a digest of all values above the lowest, which no mirroring, turning or padding changes."""
    values = image.array[image.array > image.array.min()]
    return hashlib.blake2b(np.sort(values).data, digest_size=16).digest()
