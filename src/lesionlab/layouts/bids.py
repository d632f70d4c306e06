"""Datasets after the Brain Imaging Data Structure."""

import re
from collections.abc import Iterator, Set
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import Path

from lesionlab.core.case import Case, Modality
from lesionlab.core.errors import LayoutError
from lesionlab.core.image_formats import is_volume, stem_of
from lesionlab.core.labels import LESION, Labels
from lesionlab.core.layout import layout
from lesionlab.core.split_rule import split_fields
from lesionlab.layouts.bids_dates import visit_of
from lesionlab.layouts.dataset_options import FILE, read_options
from lesionlab.layouts.image_files import in_order, is_there, no_image, visible
from lesionlab.layouts.modality_names import SPELLINGS, modality_named
from lesionlab.layouts.tables import read_table, split_named

CITATION = "Gorgolewski et al. 2016, Scientific Data 3:160044, doi:10.1038/sdata.2016.44 (the form of the folder)"

DATATYPES = ("anat", "dwi", "ct", "perf", "swi")
"""Folders of a session that may hold images of one volume; fieldmaps and time series are not looked at."""

MASK_SUFFIXES = ("mask", "msk", "dseg", "seg", "roi")
LESIONS = frozenset({"l", "lesion", "lesions"})
"""Words for lesions in the entities of a mask, in lower case; BIDS reserves the label ``L`` for them."""

OTHER_MASKS = frozenset(
    ("bg", "gm", "wm", "gwm", "cgm", "scgm", "csf", "n", "b", "bs", "brain", "brainmask", "head", "skull", "tissue",
     "aseg", "aparc", "deface", "defacemask", "ventricle", "ventricles")
)  # fmt: skip
"""Words in the entities of masks that outline something else, BIDS's own labels among them."""

PARTS = frozenset({"phase", "real", "imag"})
"""Values of the entity ``part`` that are no plain image."""

PARTICIPANTS = "participants.tsv"
WANTED = "folders sub-<X>[/ses-<Y>]/anat with images"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One session of one subject: the folders of its images and masks.

    Attributes:
        subject: Such as ``sub-12``.
        id: ``sub-12``, or ``sub-12_ses-2``.
        folders: Of the datatypes, in the dataset itself.
        files: Every NIfTI file of the session in the dataset itself, by its path below it without its ending.
        derived: The same below ``derivatives``.
    """

    subject: str
    id: str
    folders: tuple[Path, ...]
    files: dict[str, tuple[Path, ...]]
    derived: dict[str, tuple[Path, ...]]


@layout("bids")
class Bids:
    """``sub-<X>[/ses-<Y>]/anat/<...>_{FLAIR,T1w,...}.nii.gz``, masks below ``derivatives`` or beside the images.

    Images are known by the last word of their names: ``T1w`` is t1 (t1ce with an entity ``ce-``), ``FLAIR`` flair,
    and so on; the dataset's modalities are all that occur in ``anat``, ``dwi``, ``ct``, ``perf`` and ``swi``, and a
    session may lack some. ``modalities`` in lesionlab.toml chooses by patterns instead; every session must then have
    each of them. A mask ends in ``_mask``, ``_msk``, ``_dseg``, ``_seg`` or ``_roi``; one whose entities say lesion
    (``label-L``, ``label-lesion``, ``desc-T1lesion``) goes before others, those of the brain or of tissues
    (``label-GM``) are left alone, or ``mask`` in lesionlab.toml tells which. A session's only mask with an entity
    ``desc-brain`` and none ``space-`` is that of its brain. A case is a session, ``sub-<X>_ses-<Y>``, and its patient
    the subject. ``participants.tsv`` may have columns site, split and category. Sessions follow each other by the
    ``acq_time`` in ``sub-<X>_sessions.tsv``, or the earliest one in ``scans.tsv``.

    Args:
        folder: Where the subjects lie; or one that has them in ``rawdata`` and, beside it, ``derivatives``.

    Raises:
        LayoutError: There is no subject with images, or ``lesionlab.toml`` cannot be read.
    """

    modalities: tuple[Modality, ...]
    labels: Labels
    citation: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        used = {"modalities", "mask", "regions", "ignored", "lesion_above"}
        self._options = read_options(folder, used=used)
        self.modalities = tuple(self._options.modalities) or self._modalities()
        self.labels = self._options.labels(LESION)
        self.citation = self._options.citation or CITATION

    def cases(self) -> Iterator[Case]:
        """Yield every case in the order of its id; a case without a mask has no label.

        Raises:
            LayoutError: There is no case, a case has a modality twice or two masks, has a mask but no image, or lacks
                a modality that ``lesionlab.toml`` names.
        """
        facts = self._read_participants()
        sessions = (session for session in self._sessions() if session.files or session.derived)
        found = [self._case(session, facts.get(session.subject, {})) for session in sessions]
        yield from in_order(found, wanted=WANTED, folder=self.folder)

    def _modalities(self) -> tuple[Modality, ...]:
        """Return the modalities that occur: those that lesionlab knows in its order, then others."""
        occurring = {_modality(stem) for session in self._sessions() for stem in session.files} - {None}
        if not occurring:
            in_order([], wanted=WANTED, folder=self.folder)
        known = [name for name in SPELLINGS if name in occurring]
        return (*known, *sorted(name for name in occurring if name is not None and name not in known))

    @property
    def _root(self) -> Path:
        """Where the subjects lie."""
        return self.folder / "rawdata" if (self.folder / "rawdata").is_dir() else self.folder

    def _sessions(self) -> Iterator[Session]:
        root, derivatives = self._root, self.folder / "derivatives"
        derived = [derivatives, *(path for path in visible(derivatives) if not path.name.startswith("sub-"))]
        for subject in (path for path in visible(root) if path.name.startswith("sub-") and path.is_dir()):
            sessions = [path.name for path in visible(subject) if path.name.startswith("ses-") and path.is_dir()]
            for session in sessions or [""]:
                place = Path(subject.name) / session
                yield Session(
                    subject=subject.name,
                    id=f"{subject.name}_{session}" if session else subject.name,
                    folders=tuple(root / place / datatype for datatype in DATATYPES),
                    files=self._files([root / place]),
                    derived=self._files([folder / place for folder in derived]),
                )

    def _files(self, places: list[Path]) -> dict[str, tuple[Path, ...]]:
        """Return the images in these folders and in the datatypes below them."""
        found: dict[str, tuple[Path, ...]] = {}
        for folder in (folder for place in places for folder in (place, *(place / name for name in DATATYPES))):
            for path in visible(folder):
                if is_volume(path) and is_there(path):
                    stem = str(folder.relative_to(self.folder) / stem_of(path))
                    found[stem] = (*found.get(stem, ()), path)
        return found

    def _case(self, session: Session, facts: dict[str, str]) -> Case:
        found = {modality: self._image(session, modality) for modality in self.modalities}
        images = {modality: path for modality, path in found.items() if path is not None}
        if not images:
            raise no_image(session.id, " or ".join(self.modalities), named="any", folder=_folder_of(session))
        label, brain_mask = self._mask(session), _brain_mask(session)
        return Case(
            id=session.id,
            images=images,
            label=label,
            brain_mask=brain_mask,
            notes=tuple(_notes(session, used={*images.values(), label, brain_mask})),
            group=session.subject,
            site=facts.get("site", ""),
            visit=visit_of(session.folders[0].parent),
            **split_fields(split_named(facts.get("split", ""), where=self._root / PARTICIPANTS)),
            category=facts.get("category") or facts.get("group") or None,
        )

    def _image(self, session: Session, modality: Modality) -> Path | None:
        pattern = self._options.modalities.get(modality)
        found = [
            path
            for stem, paths in session.files.items()
            for path in paths
            if (fnmatchcase(stem, pattern) if pattern else _modality(stem) == modality)
        ]
        if pattern and not found:
            raise no_image(session.id, modality, named=pattern, folder=_folder_of(session))
        what = f"one image of modality {modality!r} for case {session.id!r}"
        return _only(found, what=what, option="modalities") if found else None

    def _mask(self, session: Session) -> Path | None:
        pattern = self._options.mask
        found = {
            path: stem
            for stem, paths in (*session.derived.items(), *session.files.items())
            for path in paths
            if (fnmatchcase(stem, pattern) if pattern else _is_mask(stem))
        }
        named = [path for path, stem in found.items() if _words(stem) & LESIONS]
        chosen = named if named and not pattern else list(found)
        return _only(chosen, what=f"one image of the mask for case {session.id!r}", option="mask") if chosen else None

    def _read_participants(self) -> dict[str, dict[str, str]]:
        places = dict.fromkeys((self._root, self.folder))
        tables = [read_table(place / PARTICIPANTS) for place in places if (place / PARTICIPANTS).is_file()]
        rows = ({name: "" if cell == "n/a" else cell for name, cell in row.items()} for row in chain(*tables))
        return {row.get("participant_id", ""): row for row in rows}


def _notes(session: Session, *, used: Set[Path | None]) -> Iterator[str]:
    """Yield which images and masks of a session are not used."""
    for files, what in ((session.files, "another image or mask"), (session.derived, "derived from the images")):
        for path in (path for paths in files.values() for path in paths if path not in used):
            yield f"{path.name} is not used: {what}"


def _folder_of(session: Session) -> Path:
    return next((folder for folder in session.folders if folder.is_dir()), session.folders[0])


def _modality(stem: str) -> Modality | None:
    """Return the modality that a path without its ending tells; None for masks and for what lies elsewhere."""
    path = Path(stem)
    *entities, suffix = path.name.split("_")
    pairs = dict(entity.partition("-")[::2] for entity in entities)
    if (
        path.parent.name not in DATATYPES
        or suffix in (*MASK_SUFFIXES, "defacemask")
        or not entities
        or pairs.get("part") in PARTS
    ):
        return None
    modality = modality_named(suffix)
    return f"{modality}ce" if "ce" in pairs else modality


def _is_mask(stem: str) -> bool:
    words = _words(stem)
    return Path(stem).name.lower().rpartition("_")[2] in MASK_SUFFIXES and (
        bool(words & LESIONS) or not words & OTHER_MASKS
    )


def _words(stem: str) -> set[str]:
    """Return the words, in lower case, of a name's entities other than subject and session.

    ``T1lesion`` is lesion; single letters count only as the value of ``label``: ``hemi-L`` is no lesion.
    """
    pairs = [part.partition("-") for part in Path(stem).name.split("_")[:-1]]
    return {
        word.lower()
        for key, _, value in pairs
        if key not in ("sub", "ses")
        for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", value or key)
        if len(word) > 1 or key == "label"
    }


def _brain_mask(session: Session) -> Path | None:
    """Return the mask of the brain in the space of the scans, if there is just one."""
    files = [*session.derived.items(), *session.files.items()]
    named = [(set(Path(stem).name.split("_")), paths) for stem, paths in files]
    found = [
        path
        for words, paths in named
        if {"desc-brain", "mask"} <= words and not any(word.startswith("space-") for word in words)
        for path in paths
    ]
    return found[0] if len(found) == 1 else None


def _only(found: list[Path], *, what: str, option: str) -> Path:
    if len(found) > 1:
        raise LayoutError(
            what,
            found=" and ".join(path.name for path in found),
            where=found[0].parent,
            next_step=f"delete what is not meant, or tell it by a pattern: {option} in {FILE}",
        )
    return found[0]
