"""A case with its files loaded as far as they can be."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import nibabel
import nibabel.openers
import numpy as np
from jaxtyping import Bool

from lesionlab.core.case import Case, Modality
from lesionlab.core.errors import GridError, ImageError, LabelError, LesionlabError
from lesionlab.core.grid import TOLERANCE_MM
from lesionlab.core.image_formats import is_nifti
from lesionlab.core.labels import Labels
from lesionlab.engine.case_files import format_of, read_mask, read_scan
from lesionlab.engine.images import Image
from lesionlab.workflows.check.finding import Finding, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A case with those of its files loaded that can be read at all.

    Attributes:
        case: Where the files are.
        images: The readable images.
        mask: The reference mask, or None where there is none or it cannot be read.
        labels: What the mask's values mean.
    """

    case: Case
    images: dict[Modality, Image]
    mask: Image | None
    labels: Labels

    @property
    def files(self) -> dict[Path, Image]:
        """The readable images, each file once, and last the readable mask."""
        files = {self.case.images[modality]: image for modality, image in self.images.items()}
        if self.mask is not None and self.case.label is not None:
            files[self.case.label] = self.mask
        return files

    @property
    def headers(self) -> dict[Path, nibabel.Nifti1Header]:
        """The headers as they are stored of all readable files that are NIfTI; further masks are not among them."""
        return {path: read_header(path) for path in self.files if is_nifti(path) and format_of(path) == "nifti"}

    @property
    def lesion(self) -> Bool[np.ndarray, "x y z"] | None:
        """Every voxel of any region; None without a readable mask, or where it does not fit the first image."""
        if self.mask is None or not self.images:
            return None
        first = next(iter(self.images.values()))
        if self.mask.grid.distance_mm(first.grid) > TOLERANCE_MM:
            return None
        return np.asarray(self.labels.regions_of(self.mask.array).any(axis=0))

    def finding(
        self, rule: str, where: Path, *, severity: Severity, wanted: str, found: str, next_step: str
    ) -> Finding:
        """Return a finding about this case."""
        return Finding(
            rule=rule,
            severity=severity,
            case=self.case.id,
            where=str(where),
            wanted=wanted,
            found=found,
            next_step=next_step,
        )

    def fitting(self, lesion: Bool[np.ndarray, "x y z"]) -> dict[Modality, Image]:
        """Return the images that have the shape of `lesion`."""
        return {name: image for name, image in self.images.items() if image.array.shape == lesion.shape}


def load(case: Case, labels: Labels) -> tuple[Scan, list[Finding]]:
    """Read what can be read: damaged, non-3-D and non-finite images and fractional masks become findings."""
    images: dict[Modality, Image] = {}
    mask, findings = None, []
    found = partial(_finding_of, case=case)
    for modality in case.images:
        try:
            images[modality] = read_scan(case, modality)
        except ImageError as error:
            findings.append(found(error))
    if case.label is not None:
        try:
            mask = read_mask(case, labels)
        except (ImageError, LabelError, GridError) as error:
            findings.append(found(error))
    return Scan(case=case, images=images, mask=mask, labels=labels), findings


def read_header(path: Path) -> nibabel.Nifti1Header:
    """Return a NIfTI header as it is stored, where nibabel's images have theirs corrected."""
    header_class = type(nibabel.load(path).header)
    with nibabel.openers.ImageOpener(path) as stream:
        return header_class.from_fileobj(stream, check=False)


def _finding_of(error: LesionlabError, *, case: Case) -> Finding:
    rule = "unreadable"
    if isinstance(error, LabelError):
        rule = "label-fraction"
    elif isinstance(error, GridError):
        rule = "position"
    elif "finite" in error.wanted:
        rule = "not-finite"
    return Finding.of(error, rule=rule, case=case.id)
