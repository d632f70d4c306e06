"""Scans as a scanner or an archive gives them: a folder of DICOM files per series."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from lesionlab.core.case import Case, Modality
from lesionlab.core.errors import LayoutError
from lesionlab.core.labels import LESION, Labels
from lesionlab.core.layout import layout
from lesionlab.core.split_rule import split_fields
from lesionlab.layouts.dataset_options import FILE, read_options
from lesionlab.layouts.dicom_stacks import Contents, Stack, find_heads
from lesionlab.layouts.image_files import find_image, in_order, no_image, visible
from lesionlab.layouts.modality_names import SPELLINGS
from lesionlab.layouts.series_modality import SeriesAttributes, judge_series
from lesionlab.layouts.tables import split_of_folders

CITATION = "NEMA PS3 / ISO 12052, Digital Imaging and Communications in Medicine (the form of the files)"

WANTED = "folders <case>/<series> of DICOM files"

UNKNOWN = SeriesAttributes()

DEPTH = 4
"""How far below the dataset a series may lie: patient, study, series and one more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A stack of slices of one series, and what it shows.

    Attributes:
        folder: Where its files lie.
        stack: Its slices.
        is_alone: Whether the folder holds nothing else that could be an image.
        modality: What it shows, or None where that is not certain.
        reason: Why it has no modality.
    """

    folder: Path
    stack: Stack
    is_alone: bool
    modality: Modality | None
    reason: str

    @property
    def study(self) -> str:
        """Its study's identifier, the same for all series of one visit."""
        return self.stack.first.text("StudyInstanceUID")


@layout("dicom")
class Dicom:
    """A folder per case and in it, directly or below, its series; a mask, if any, ``<case>/mask.nii.gz``.

    Usually each series has a folder, and the folder around it is the case. A folder with several series is a case of
    its own, unless folders beside it belong to the same study; so is each folder of one series, where those directly
    in the dataset are of many studies. The dataset's folder may itself be one case. Series are told apart by their
    identifier, and their slices by direction, kind of image, echo time and b-value.

    A series' modality is what its attributes and the whole words of its description say without contradiction (see
    `judge_series`), such as t1ce for ``t1 mprage post gd``; CT comes from the kind of scanner. Of several b-values the
    highest is dwi. What has no certain modality, and reports, masks, screenshots and so on, are left alone and noted.
    The dataset's modalities are all that occur, and a case may lack some. ``modalities`` in lesionlab.toml chooses
    instead by patterns of the description or of the folder's name; every case must then have each of them. A case's id
    is its path joined by underscores, its patient the first folder of that path; nothing that identifies a person is
    read.

    Args:
        folder: Where the cases lie.

    Raises:
        OptionError: pydicom is not installed.
        LayoutError: There is no series that fits, a folder mixes several studies, or ``lesionlab.toml`` cannot be read.
    """

    modalities: tuple[Modality, ...]
    labels: Labels
    citation: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        used = {"modalities", "regions", "ignored", "lesion_above"}
        self._options = read_options(folder, used=used)
        series, _ = self._find_series()
        occurring = {one.modality for own in series.values() for one in own} - {None}
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
        series, notes = self._find_series()
        found = [
            self._case(folder, own, notes=notes.get(folder, []))
            for folder, own in series.items()
            if find_image(folder / "mask") or any(one.modality for one in own)
        ]
        yield from in_order(found, wanted=WANTED, folder=self.folder)

    def _find_series(self) -> tuple[dict[Path, list[Series]], dict[Path, list[str]]]:
        """Return the series of each case, and what its folders hold beside them; a mask alone makes a case, too."""
        folders = [self.folder, *_folders(self.folder, depth=DEPTH)]
        contents = {folder: find_heads(folder) for folder in folders}
        owners = _owners(contents, top=self.folder)
        series: dict[Path, list[Series]] = {folder: [] for folder in folders[1:] if find_image(folder / "mask")}
        notes: dict[Path, list[str]] = {}
        for folder, content in contents.items():
            owner = owners.get(folder, folder.parent)
            stacks = [
                _judge(stack, folder, is_alone=len(content.stacks) == 1, patterns=self._options.modalities)
                for stack in content.stacks
            ]
            if stacks:
                series.setdefault(owner, []).extend(stacks)
            notes.setdefault(owner, []).extend(_notes_of_others(folder, content))
        return series, notes

    def _case(self, folder: Path, series: list[Series], *, notes: list[str]) -> Case:
        parts = folder.relative_to(self.folder).parts or (self.folder.name,)
        case_id = "_".join(parts)
        of_modality = {name: self._only(name, series, case_id=case_id) for name in self.modalities}
        used = {name: one for name, one in of_modality.items() if one is not None}
        for modality in self.modalities:
            if modality not in used and (self._options.modalities or not used):
                raise no_image(case_id, modality, named="a folder of its series", folder=folder)
        return Case(
            id=case_id,
            images={modality: one.folder for modality, one in used.items()},
            parts={modality: one.stack.part for modality, one in used.items() if not one.is_alone},
            label=find_image(folder / "mask"),
            group=parts[0],
            image_names={modality: one.stack.name for modality, one in used.items()},
            notes=(*_notes(series, used), *notes),
            **split_fields(split_of_folders(Path(*parts[:-1]))),
        )

    def _only(self, modality: Modality, series: list[Series], *, case_id: str) -> Series | None:
        """Return the series of a modality; of one series' b-values the highest."""
        fitting = [one for one in series if one.modality == modality]
        if modality == "dwi" and len({one.stack.series for one in fitting}) == 1:
            return max(fitting, key=lambda one: one.stack.attributes.b_value or 0)
        if len(fitting) > 1:
            are_apart = len({one.folder for one in fitting}) == len(fitting)
            names = [one.folder.name if are_apart else one.stack.number for one in fitting]
            raise LayoutError(
                f"one image of modality {modality!r} for case {case_id!r}",
                found=" and ".join(names),
                where=fitting[0].folder.parent if are_apart else fitting[0].folder,
                next_step=f"tell the one that is meant by a pattern: modalities in {FILE}",
            )
        return fitting[0] if fitting else None


def _folders(folder: Path, *, depth: int) -> Iterator[Path]:
    for path in visible(folder):
        if path.is_dir() and depth:
            yield path
            yield from _folders(path, depth=depth - 1)


def _owners(contents: Mapping[Path, Contents], *, top: Path) -> dict[Path, Path]:
    """Return the case that each folder with series belongs to: itself, or the folder around it.

    Raises:
        LayoutError: A folder's own files are of several studies.
    """
    studies = {folder: _studies(content, folder) for folder, content in contents.items() if content.stacks}
    owners, near = {}, {parent: Counter[str]() for parent in {folder.parent for folder in studies}}
    for folder, study in studies.items():
        near[folder.parent][study] += 1
    for folder, study in studies.items():
        beside = near[folder.parent] - Counter([study])
        is_of_many = len({stack.series for stack in contents[folder].stacks}) > 1
        is_own = is_of_many or find_image(folder / "mask") is not None
        is_apart = folder.parent == top and bool(set(beside) - {study})
        owners[folder] = folder if folder == top or is_apart or (is_own and study not in beside) else folder.parent
    return owners


def _studies(content: Contents, folder: Path) -> str:
    """Return the one study of a folder's files."""
    studies = sorted({stack.first.text("StudyInstanceUID") for stack in content.stacks})
    if len(studies) > 1:
        raise LayoutError(
            "the files of one visit in a folder",
            found=f"those of {len(studies)} studies",
            where=folder,
            next_step="put each study into a folder of its own",
        )
    return studies[0]


def _judge(stack: Stack, folder: Path, *, is_alone: bool, patterns: Mapping[Modality, str]) -> Series:
    names = (stack.description, folder.name) if is_alone else (stack.description,)
    texts = [name for name in names if name] or [""]
    modality = _modality(stack.first.kind, texts, patterns, attributes=stack.attributes)
    reason = "" if patterns else judge_series(stack.first.kind, texts[0], stack.attributes).reason
    if not patterns and stack.planes > 1:
        modality, reason = None, "slices of several directions, as a localiser has"
    if not patterns and stack.is_coloured:
        modality, reason = None, "coloured pictures"
    return Series(folder=folder, stack=stack, is_alone=is_alone, modality=modality, reason=reason)


def _modality(
    kind: str, texts: Sequence[str], patterns: Mapping[Modality, str], *, attributes: SeriesAttributes = UNKNOWN
) -> Modality | None:
    """Return the modality of a series by its description and its folder's name, or None where that is not certain."""
    if patterns:
        fits = (name for name, pattern in patterns.items() for text in texts if fnmatch(text.lower(), pattern.lower()))
        return next(fits, None)
    return judge_series(kind, texts[0], attributes).modality


def _notes(series: Sequence[Series], used: Mapping[Modality, Series]) -> Iterator[str]:
    """Yield which series are not used and why."""
    for one in series:
        if one not in used.values():
            reason = f": {one.reason}" if one.reason else ": a lower b-value" if one.modality else ""
            yield f"{one.stack.name} is not used{reason}"
    studies = {one.study for one in used.values()}
    if len(studies) > 1:
        yield f"its images are of {len(studies)} studies"


def _notes_of_others(folder: Path, content: Contents) -> Iterator[str]:
    for what, count in Counter(content.others.values()).items():
        yield f"{folder.name}: {count} file{'s' * (count > 1)} not used: {what}"
    yield from (f"{Path(error.where).name} is not used: {error.found}" for error in content.broken)
