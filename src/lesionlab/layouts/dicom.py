"""Scans as a scanner or an archive gives them: a folder of DICOM files per series."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from lesionlab.core.case import Case, Modality
from lesionlab.core.errors import LayoutError, OptionError
from lesionlab.core.labels import LESION, Labels
from lesionlab.core.layout import layout
from lesionlab.core.split_rule import split_fields
from lesionlab.layouts.dataset_options import FILE, read_options
from lesionlab.layouts.image_files import find_image, in_order, no_image, visible
from lesionlab.layouts.modality_names import SPELLINGS
from lesionlab.layouts.tables import split_of_folders

CITATION = "NEMA PS3 / ISO 12052, Digital Imaging and Communications in Medicine (the form of the files)"

WANTED = "folders <case>/<series> of DICOM files"

DEPTH = 4
"""How far below the dataset a series may lie: patient, study, series and one more."""

RULES: tuple[tuple[str, Modality], ...] = (
    (r"flair|dark.?fluid|\btirm\b", "flair"),
    (r"\badc\b|apparent", "adc"),
    (r"\bdwi\b|trace|\bb ?1000\b|diff", "dwi"),
    (r"\bswi\b|suscept", "swi"),
    (r"t1.*(gd|post|\+ ?c|\bce\b|contrast|\bkm\b)|(gd|post|\+ ?c|\bce\b|contrast|\bkm\b).*t1", "t1ce"),
    (r"t1|mp ?rage|spgr", "t1"),
    (r"t2", "t2"),
    (r"\bpd\b|proton", "pd"),
)
"""What a series' description must have in it, in the order of asking; ``_`` and ``-`` count as spaces."""


LOCALISERS = r"scout|locali[sz]er|topogram|survey"

TAGS = ("Modality", "StudyInstanceUID", "SeriesDescription", "ProtocolName")


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A folder with the files of one series, and what its first file says.

    Attributes:
        folder: Where the files lie.
        study: Its identifier, the same for all series of one visit.
        modality: What it shows, or None where no rule tells.
    """

    folder: Path
    study: str
    modality: Modality | None


@layout("dicom")
class Dicom:
    """A folder per case and in it, directly or below, a folder per series; a mask, if any, ``<case>/mask.nii.gz``.

    The folder may also be one case, with its series directly in it, or have a folder of one series for each case.
    A series' modality is read from its description (SeriesDescription, ProtocolName; ``t1 mprage post gd`` is t1ce),
    CT from the kind of scanner; localisers and others that fit no rule are left alone. The dataset's modalities are
    all that occur, and a case may lack some. ``modalities`` in lesionlab.toml chooses instead by patterns of the
    description or of the folder's name; every case must then have each of them. A case's id is its path joined by
    underscores, its patient the first folder of that path; nothing that identifies a person is read.

    Args:
        folder: Where the cases lie.

    Raises:
        OptionError: pydicom is not installed.
        LayoutError: There is no series that fits, or ``lesionlab.toml`` cannot be read.
    """

    modalities: tuple[Modality, ...]
    labels: Labels
    citation: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        used = {"modalities", "regions", "ignored", "lesion_above"}
        self._options = read_options(folder, used=used)
        occurring = {one.modality for series in self._series().values() for one in series} - {None}
        if not occurring:
            in_order([], wanted=WANTED, folder=folder)
        self.modalities = tuple(self._options.modalities or [name for name in SPELLINGS if name in occurring])
        self.labels = self._options.labels(LESION)
        self.citation = self._options.citation or CITATION

    def cases(self) -> Iterator[Case]:
        """Yield every case in the order of its id; a case without a mask has no label.

        Raises:
            LayoutError: There is no case, two series of a case are meant for one modality, or a case has a mask but no
                series, or lacks a modality that ``lesionlab.toml`` names.
        """
        found = [
            self._case(folder, series)
            for folder, series in self._series().items()
            if find_image(folder / "mask") or any(one.modality for one in series)
        ]
        yield from in_order(found, wanted=WANTED, folder=self.folder)

    def _series(self) -> dict[Path, list[Series]]:
        """Return the series of each case; a folder with a mask and no series is a case, too."""
        found: dict[Path, list[Series]] = {}
        for folder in _folders(self.folder, depth=DEPTH):
            if find_image(folder / "mask"):
                found.setdefault(folder, [])
            series = _read_series(folder, patterns=self._options.modalities)
            if series is not None:
                found.setdefault(folder.parent, []).append(series)
        return self._apart(found)

    def _apart(self, found: dict[Path, list[Series]]) -> dict[Path, list[Series]]:
        """Take series directly in the dataset's folder as cases of one series each, when they are of many studies."""
        top = found.get(self.folder, [])
        if len({one.study for one in top}) < 2:
            return found
        others = {folder: series for folder, series in found.items() if folder != self.folder}
        return others | {one.folder: [one] for one in top}

    def _case(self, folder: Path, series: list[Series]) -> Case:
        parts = folder.relative_to(self.folder).parts or (self.folder.name,)
        case_id = "_".join(parts)
        of_modality = {name: [one.folder for one in series if one.modality == name] for name in self.modalities}
        for modality, folders in of_modality.items():
            if len(folders) > 1:
                raise LayoutError(
                    f"one image of modality {modality!r} for case {case_id!r}",
                    found=" and ".join(one.name for one in folders),
                    where=folder,
                    next_step=f"tell the one that is meant by a pattern: modalities in {FILE}",
                )
            if not folders and (self._options.modalities or not any(of_modality.values())):
                raise no_image(case_id, modality, named="a folder of its series", folder=folder)
        return Case(
            id=case_id,
            images={modality: folders[0] for modality, folders in of_modality.items() if folders},
            label=find_image(folder / "mask"),
            group=parts[0],
            **split_fields(split_of_folders(Path(*parts[:-1]))),
        )


def _folders(folder: Path, *, depth: int) -> Iterator[Path]:
    for path in visible(folder):
        if path.is_dir() and depth:
            yield path
            yield from _folders(path, depth=depth - 1)


def _read_series(folder: Path, *, patterns: Mapping[Modality, str]) -> Series | None:
    """Return the series in a folder as its first DICOM file tells, or None where there is no such file.

    Raises:
        OptionError: pydicom is not installed.
    """
    try:
        from pydicom import dcmread
        from pydicom.errors import InvalidDicomError
    except ImportError as error:
        raise OptionError(
            "the package pydicom", found="that it is not installed", where="the layout dicom",
            next_step="pip install 'lesionlab[dicom]'",
        ) from error  # fmt: skip
    for path in (path for path in visible(folder) if path.is_file()):
        try:
            header = dcmread(path, stop_before_pixels=True, specific_tags=list(TAGS))
        except (InvalidDicomError, OSError):
            continue
        kind, study, *texts = (str(header.get(tag) or "") for tag in TAGS)
        if kind:  # an index of other files (DICOMDIR) has none
            texts = [text for text in texts if text][:1]
            return Series(folder=folder, study=study, modality=_modality(kind, [*texts, folder.name], patterns))
    return None


def _modality(kind: str, texts: Sequence[str], patterns: Mapping[Modality, str]) -> Modality | None:
    """Return the modality of a series by its description and its folder's name, or None where no rule fits."""
    if patterns:
        fits = (name for name, pattern in patterns.items() for text in texts if fnmatch(text.lower(), pattern.lower()))
        return next(fits, None)
    plain = re.sub(r"[_\-]+", " ", texts[0].lower())
    if re.search(LOCALISERS, plain):
        return None
    if kind == "CT":
        return "ct"
    return next((modality for pattern, modality in RULES if re.search(pattern, plain)), None)
