"""The Brain Imaging Data Structure as a form to convert to."""

import json
import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from lesionlab.core.case import Case, Modality
from lesionlab.core.errors import LayoutError
from lesionlab.core.split_rule import part_of
from lesionlab.layouts.bids import PARTICIPANTS
from lesionlab.layouts.dataset_options import FILE
from lesionlab.workflows.conversion_forms import Numbering, Origin

VERSION = "1.10.0"
"""Of the specification."""

NAMES: dict[Modality, tuple[str, str]] = {
    "flair": ("anat", "FLAIR"),
    "t1": ("anat", "T1w"),
    "t1ce": ("anat", "ce-gadolinium_T1w"),
    "t2": ("anat", "T2w"),
    "pd": ("anat", "PDw"),
    "dwi": ("dwi", "trace"),
    "adc": ("dwi", "ADC"),
}
"""Modality -> folder and end of the name, as BIDS has them: an image of one b-value is a ``trace``."""

OWN_NAMES: dict[Modality, tuple[str, str]] = {"ct": ("ct", "ct"), "swi": ("swi", "swi")}
"""What BIDS has no place for, and where it lies; others lie in ``anat`` under their own names. All are ignored."""

LESION_MASK = "label-L_mask"
BRAIN_MASK = "desc-brain_mask"

MASKS = Path("derivatives") / "lesionlab"
RECORD = "conversion.json"
NOTHING = "n/a"


class BidsForm:
    """``sub-<X>[/ses-<Y>]/anat/<...>_FLAIR.nii.gz``, masks in ``derivatives/lesionlab``.

    A subject is a patient; where a patient has several cases, each is a session. Other signs than letters and digits
    in their names become ``x``. One region is a ``label-L_mask``, several are a ``dseg`` whose values the file
    ``lesionlab.toml`` says. Masks lie on their images' own grid; ``.bidsignore`` lists what BIDS has no name for.

    Args:
        cases: All of the dataset.
        numbering: Of its masks.
    """

    layout = "bids"
    shares_grid = False

    def __init__(self, cases: Sequence[Case], numbering: Numbering) -> None:
        self._patients: dict[str, list[Case]] = {}
        for case in cases:
            self._patients.setdefault(case.group, []).append(case)
        self._entities = {case.id: _entities(case, is_alone=len(self._patients[case.group]) == 1) for case in cases}
        is_one_mask = numbering.are_exclusive and len(numbering.regions) == 1 and numbering.ignored is None
        self._mask = LESION_MASK if is_one_mask else "desc-lesion_dseg"

    def check(self, cases: Sequence[Case]) -> None:
        """Refuse cases or patients whose names become one, and patients in several splits.

        Raises:
            LayoutError: Two cases or patients would have one name, or a patient lies in two splits.
        """
        first: dict[str, str] = {}
        for case in cases:
            names = {self._stem(case): f"case {case.id!r}", self._entities[case.id][0] + " ": f"patient {case.group!r}"}
            for name, owner in names.items():
                if first.setdefault(name, owner) != owner:
                    raise LayoutError(
                        "names that differ in their letters and digits",
                        found=f"{first[name]} and {owner}",
                        where=name.strip(),
                        next_step="rename one of them",
                    )
            _agreed(self._patients[case.group], "split")

    def image_file(self, case: Case, modality: Modality) -> Path:
        """Return where an image goes."""
        datatype, name = NAMES.get(modality) or OWN_NAMES.get(modality, ("anat", _plain(modality)))
        return self._folder(case) / datatype / f"{self._stem(case)}_{name}.nii.gz"

    def label_file(self, case: Case) -> Path:
        """Return where the mask goes."""
        return MASKS / self._folder(case) / "anat" / f"{self._stem(case)}_{self._mask}.nii.gz"

    def brain_file(self, case: Case) -> Path:
        """Return where the mask of the brain goes."""
        return MASKS / self._folder(case) / "anat" / f"{self._stem(case)}_{BRAIN_MASK}.nii.gz"

    def descriptions(self, cases: Sequence[Case], origin: Origin) -> dict[Path, str]:
        """Return ``dataset_description.json`` of images and masks, ``participants.tsv`` and what masks mean."""
        made_by = {"Name": "lesionlab", "Version": version("lesionlab")}
        raw = {"Name": "Converted by lesionlab", "BIDSVersion": VERSION, "DatasetType": "raw"}
        masks = {"Name": "Masks", "BIDSVersion": VERSION, "DatasetType": "derivative", "GeneratedBy": [made_by]}
        licence = {"License": origin.licence} if origin.licence else {}
        links = {"ReferencesAndLinks": [origin.citation]} if origin.citation else {}
        files = {
            Path("dataset_description.json"): _json({**raw, **licence, **links}),
            MASKS / "dataset_description.json": _json(masks),
            Path(PARTICIPANTS): self._participants(cases),
            Path(".bidsignore"): "".join(f"{name}\n" for name in (RECORD, FILE, *_ignored(origin.modalities))),
            Path(FILE): _meaning(origin),
        }
        if self._mask == LESION_MASK:
            files[MASKS / f"{LESION_MASK}.json"] = _json({"Type": "Lesion"})
        else:
            files[MASKS / f"{self._mask}.tsv"] = _values(origin.numbering)
        if any(case.brain_mask is not None for case in cases):
            files[MASKS / f"{BRAIN_MASK}.json"] = _json({"Type": "Brain"})
        return files

    def _stem(self, case: Case) -> str:
        return "_".join(self._entities[case.id])

    def _folder(self, case: Case) -> Path:
        return Path(*self._entities[case.id])

    def _participants(self, cases: Sequence[Case]) -> str:
        rows = {
            self._entities[case.id][0]: [
                _agreed(self._patients[case.group], name) for name in ("site", "split", "category")
            ]
            for case in cases
        }
        lines = [["participant_id", "site", "split", "category"], *([name, *cells] for name, cells in rows.items())]
        return "".join("\t".join(re.sub(r"\s+", " ", cell) for cell in line) + "\n" for line in lines)


def _ignored(modalities: Sequence[Modality]) -> list[str]:
    """Return the patterns of folders and images that BIDS has no names for."""
    own = [name for name in modalities if name not in NAMES]
    return [OWN_NAMES[name][0] if name in OWN_NAMES else f"*_{_plain(name)}.nii.gz" for name in own]


def _entities(case: Case, *, is_alone: bool) -> tuple[str, ...]:
    """Return ``sub-<patient>`` and, unless it is the patient's only case, ``ses-<case>``."""
    subject = f"sub-{_plain(case.group.removeprefix('sub-'))}"
    own = case.id.removeprefix(case.group).lstrip("_- ").removeprefix("ses-")
    return (subject,) if is_alone and not own else (subject, f"ses-{_plain(own or case.id)}")


def _agreed(cases: Sequence[Case], name: str) -> str:
    """Return what all of a patient's cases have; ``n/a`` where they have nothing or differ.

    Raises:
        LayoutError: They differ in their split.
    """
    found = {(part_of(case) if name == "split" else getattr(case, name)) or NOTHING for case in cases}
    if len(found) > 1 and name == "split":
        raise LayoutError(
            "all cases of a patient in one split",
            found=" and ".join(sorted(found)),
            where=f"patient {cases[0].group}",
            next_step="move them into one: a patient in both training and test spoils every score",
        )
    return found.pop() if len(found) == 1 else NOTHING


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "x", text)


def _meaning(origin: Origin) -> str:
    """Return the lesionlab.toml that tells what masks mean."""
    regions = (f"{json.dumps(name)} = {list(values)}" for name, values in origin.numbering.regions.items())
    ignored = [] if origin.numbering.ignored is None else [origin.numbering.ignored]
    citation = f"citation = {json.dumps(origin.citation, ensure_ascii=False)}\n" if origin.citation else ""
    return f"{citation}ignored = {ignored}\n\n[regions]\n" + "\n".join(regions) + "\n"


def _values(numbering: Numbering) -> str:
    """Return the table of a ``dseg``'s values: each is named after all regions it belongs to."""
    names = {
        value: "+".join(name for name, values in numbering.regions.items() if value in values)
        for value in sorted({value for values in numbering.regions.values() for value in values})
    }
    if numbering.ignored is not None:
        names[numbering.ignored] = "ignored"
    return "index\tname\n" + "".join(f"{value}\t{name}\n" for value, name in names.items())


def _json(content: object) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
