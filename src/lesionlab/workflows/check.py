"""Judge the images and masks of a dataset before time is spent on them."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import nibabel
import numpy as np
from nibabel.spatialimages import HeaderDataError

from lesionlab.core.case import Case
from lesionlab.core.errors import GridError, ImageError, LabelError, LesionlabError
from lesionlab.core.grid import Grid
from lesionlab.core.labels import Labels
from lesionlab.core.progress import track
from lesionlab.engine.images import Image, read_image, read_label
from lesionlab.layouts.opening import open_layout

Severity: TypeAlias = Literal["error", "warning", "note"]

HEADER_TOLERANCE_MM = 0.1
"""How far a voxel's two positions in one header may differ: far above float32 rounding, far below a voxel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing about one case that a reader should know.

    Attributes:
        severity: "error": the case cannot be used; "warning": it can, but look at it; "note": nothing is wrong.
        case: The id of the case.
        where: The file or files.
        wanted: What was expected, as a noun phrase.
        found: What was met instead.
        next_step: What to do about it.
    """

    severity: Severity
    case: str
    where: str
    wanted: str
    found: str
    next_step: str

    @classmethod
    def of(cls, error: LesionlabError, *, case: Case) -> "Finding":
        """Make a finding of a refusal."""
        return cls(
            severity="error",
            case=case.id,
            where=error.where,
            wanted=error.wanted,
            found=error.found,
            next_step=error.next_step,
        )

    @property
    def message(self) -> str:
        """The finding in one plain line, without severity, case and file."""
        return f"wanted {self.wanted}; found {self.found}; next: {self.next_step}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A case with those of its files loaded that can be read at all.

    Attributes:
        case: Where the files are.
        images: The readable images.
        label: The mask, or None where there is none or it cannot be read.
        labels: What the mask's values mean.
    """

    case: Case
    images: dict[Path, Image]
    label: Image | None
    labels: Labels

    @property
    def files(self) -> dict[Path, Image]:
        """The readable images and, last, the readable mask."""
        if self.label is None or self.case.label is None:
            return self.images
        return self.images | {self.case.label: self.label}


def check(data: str) -> tuple[Finding, ...]:
    """Judge every case of a dataset.

    Args:
        data: LAYOUT:FOLDER.

    Raises:
        LayoutError: The folder does not follow its layout, or a case lacks a modality.
        NameUnknownError: No layout has this name.
    """
    _, layout = open_layout(data)
    cases = tuple(layout.cases())
    return judge(track(cases, what="checking", total=len(cases)), layout.labels)


def judge(cases: Iterable[Case], labels: Labels) -> tuple[Finding, ...]:
    """Judge cases, one in memory at a time; no finding means that nothing is remarkable.

    Args:
        cases: What to judge.
        labels: The stored values that masks may hold.
    """
    findings: list[Finding] = []
    first_seen: dict[bytes, Path] = {}
    for case in cases:
        scan, unreadable = _load(case, labels)
        findings += unreadable
        for rule in RULES:
            findings += rule(scan)
        findings += _judge_copies(scan, first_seen)
    return tuple(findings)


def _load(case: Case, labels: Labels) -> tuple[Scan, list[Finding]]:
    """Read what can be read: damaged, non-3-D and non-finite images and fractional masks become findings."""
    images: dict[Path, Image] = {}
    label, findings = None, []
    for path in case.images.values():
        try:
            images[path] = read_image(path)
        except ImageError as error:
            findings.append(Finding.of(error, case=case))
    if case.label is not None:
        try:
            label = read_label(case.label)
        except (ImageError, LabelError) as error:
            findings.append(Finding.of(error, case=case))
    return Scan(case=case, images=images, label=label, labels=labels), findings


def judge_grids(scan: Scan) -> Iterator[Finding]:
    """Find images and masks whose voxels are not those of the first image; axes may run another way."""
    grids = {path: image.grid.canonical() for path, image in scan.files.items()}
    paths = list(grids)
    for other in paths[1:]:
        try:
            grids[paths[0]].check_same(
                grids[other],
                mine=paths[0],
                others=other,
                next_step="resample the second onto the first (nearest neighbour for a mask)",
            )
        except GridError as error:
            yield Finding.of(error, case=scan.case)


def judge_label_values(scan: Scan) -> Iterator[Finding]:
    """Find masks with undeclared values."""
    if scan.label is None or scan.case.label is None:
        return
    try:
        scan.labels.check(scan.label.array, where=scan.case.label)
    except LabelError as error:
        yield Finding.of(error, case=scan.case)


def judge_contrast(scan: Scan) -> Iterator[Finding]:
    """Find images in which every voxel has one value."""
    for path, image in scan.images.items():
        if _is_constant(image):
            yield Finding(
                severity="error",
                case=scan.case.id,
                where=str(path),
                wanted="an image with contrast",
                found=f"the value {image.array.flat[0]:g} in every voxel",
                next_step="export the image again, or exclude the case",
            )


def judge_mask(scan: Scan) -> Iterator[Finding]:
    """Note cases without a mask and masks without a lesion."""
    found, next_step = "", ""
    if scan.case.label is None:
        found, next_step = "no mask", "nothing, if the case is only to be predicted"
    elif scan.label is not None and not scan.labels.regions_of(scan.label.array).any():
        found, next_step = "a mask without lesion", "nothing, if the patient has none"
    if found:
        yield Finding(
            severity="note",
            case=scan.case.id,
            where=str(scan.case.label or next(iter(scan.case.images.values()))),
            wanted="an outlined lesion",
            found=found,
            next_step=next_step,
        )


def judge_headers(scan: Scan) -> Iterator[Finding]:
    """Find headers whose two transforms, sform and qform, lead to different places."""
    for path in scan.files:
        distance_mm = _distance_between_forms_mm(path)
        if distance_mm > HEADER_TOLERANCE_MM:
            yield Finding(
                severity="warning",
                case=scan.case.id,
                where=str(path),
                wanted="sform and qform that agree",
                found=f"voxels up to {distance_mm:.3g} mm apart between the two",
                next_step="make sure that the sform is right: it is the one that counts here",
            )


Rule: TypeAlias = Callable[[Scan], Iterator[Finding]]

RULES: tuple[Rule, ...] = (judge_grids, judge_label_values, judge_contrast, judge_mask, judge_headers)
"""What is asked of every case; a new rule is one function and one entry."""


def _judge_copies(scan: Scan, first_seen: dict[bytes, Path]) -> Iterator[Finding]:
    """Find images that an earlier file, of this or another case, already showed voxel by voxel."""
    for path, image in scan.images.items():
        if _is_constant(image):
            continue
        digest = hashlib.blake2b(np.ascontiguousarray(image.array).data, digest_size=16).digest()
        earlier = first_seen.setdefault(digest, path)
        if earlier != path:
            yield Finding(
                severity="warning",
                case=scan.case.id,
                where=str(path),
                wanted="images that differ from one another",
                found=f"the same voxels as in {earlier}",
                next_step="remove one: a patient in both training and test spoils every score",
            )


def _is_constant(image: Image) -> bool:
    return bool((image.array == image.array.flat[0]).all())


def _distance_between_forms_mm(path: Path) -> float:
    """Return how far a corner voxel lies between the two transforms; 0 where one is unset, infinite if one is void."""
    header = nibabel.load(path).header
    if not header["sform_code"] or not header["qform_code"]:
        return 0.0
    shape = header.get_data_shape()[:3]
    try:
        return Grid.of(shape, header.get_sform()).distance_mm(Grid.of(shape, header.get_qform()))
    except (HeaderDataError, ValueError):  # a quaternion that is no rotation
        return float("inf")
