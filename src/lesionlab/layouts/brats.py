"""The BraTS challenges: brain tumours on four MRI sequences, as named since 2018."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from lesionlab.core.case import Case, Modality
from lesionlab.core.labels import Labels
from lesionlab.core.layout import layout
from lesionlab.core.split_rule import Part, split_fields, strictest
from lesionlab.layouts.dataset_options import read_options
from lesionlab.layouts.image_files import (
    find_below,
    find_image,
    find_matching,
    find_modalities,
    folders_up_to,
    in_order,
    list_image_stems,
)

CITATION = (
    "Menze et al. 2015, IEEE Transactions on Medical Imaging 34(10):1993-2024, doi:10.1109/TMI.2014.2377694; Baid et "
    "al. 2021, arXiv:2107.02314"
)

VISIT = re.compile(r"(brats1[789]_.+)_\d+|(?=brats-)(.+)-\d+", re.IGNORECASE)
"""Ids that end in the number of a visit: Brats18_CBICA_AAB_1 and BraTS-GLI-00000-000. Others name the patient."""

SITE = re.compile(r"brats1[789]_([^_]+)_", re.IGNORECASE)

SPLITS: dict[str, Part] = {"training": "training", "validation": "validation", "testing": "test"}
"""BraTS calls its parts so, in the names of folders or cases; only the masks of the first one are public."""

GRADES = ("HGG", "LGG")
"""Folders of 2018 and 2019: high-grade and low-grade glioma."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """How an edition names the files of a case.

    Attributes:
        separator: Between the case's id and the sequence; None where files have no id in their names.
        sequences: The edition's word for each modality.
        enhancing: Stored values of enhancing tumour.
    """

    separator: str | None
    sequences: dict[Modality, str]
    enhancing: frozenset[int]

    def names(self, case_id: str) -> dict[Modality, str]:
        """Return the name of each image without its ending."""
        prefix = "" if self.separator is None else case_id + self.separator
        return {modality: prefix + word for modality, word in self.sequences.items()}

    @property
    def labels(self) -> Labels:
        """Whole tumour, tumour core and enhancing tumour, each within the one before it."""
        core = self.enhancing | {1}
        return Labels(regions={"WT": core | {2}, "TC": core, "ET": self.enhancing})


OLD_WORDS = {"t1ce": "t1ce", "t1": "t1", "flair": "flair", "t2": "t2"}
NEW_WORDS = {"t1ce": "t1c", "t1": "t1n", "flair": "t2f", "t2": "t2w"}

SINCE_2023 = Naming(separator="-", sequences=NEW_WORDS, enhancing=frozenset({3}))
UNTIL_2021 = Naming(separator="_", sequences=OLD_WORDS, enhancing=frozenset({4}))
WITHOUT_ID = Naming(separator=None, sequences=OLD_WORDS, enhancing=frozenset({3, 4}))
NAMINGS = (SINCE_2023, UNTIL_2021, WITHOUT_ID)

WANTED = "one folder per case with <id>_{flair,t1,t1ce,t2}, <id>-{t2f,t1n,t1c,t2w} or flair, t1, t1ce and t2"


@layout("brats")
class Brats:
    """BraTS since 2018, brain tumours on four MRI sequences: a folder per case.

    - 2018-2021: ``<id>/<id>_{t1ce,t1,flair,t2,seg}.nii.gz``; enhancing tumour is 4.
    - Since 2023: ``<id>/<id>-{t1c,t1n,t2f,t2w,seg}.nii.gz``; enhancing tumour is 3. Later tasks that give 4 another
      meaning (resection cavity) are refused when their masks are read.
    - SYNAPSE-Net: ``<id>/{t1ce,t1,flair,t2}.nii.gz``, with ``seg`` beside them or ``labels/<id>.nii.gz`` or
      ``labels/<id>_seg.nii.gz`` next to the case's folder or above; enhancing tumour may be 3 or 4.

    The regions are WT (whole tumour), TC (1, necrosis, with the enhancing part) and ET; 2 is oedema. In a folder that
    mixes editions, enhancing tumour may be 3 or 4. The cases lie in `folder` itself or up to two folders deeper;
    ``HGG`` and ``LGG`` among these folders become the category, "training", "validation" and "testing" in the name of
    one of them, or of the case, the split. The number of a visit at the end of an id is not part of the patient.

    Args:
        folder: Where the dataset lies. Its ``lesionlab.toml`` may say ``patient``, ``regions`` and ``ignored``.
    """

    modalities: tuple[Modality, ...] = tuple(OLD_WORDS)
    citation: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._options = read_options(folder, used=("patient", "regions", "ignored"))
        self.citation = self._options.citation or CITATION

    @cached_property
    def labels(self) -> Labels:
        """What ``lesionlab.toml`` says, or else the editions in the folder; that of 2023 where there is no case."""
        found = {naming.enhancing for _, naming in self._case_folders()} or {SINCE_2023.enhancing}
        enhancing: frozenset[int] = frozenset().union(*found)
        return self._options.labels(replace(WITHOUT_ID, enhancing=enhancing).labels)

    def cases(self) -> Iterator[Case]:
        """Yield every case in the order of its id; a case without a mask has no label.

        Raises:
            LayoutError: There is no case, two have one id, or a case lacks a modality.
        """
        found = (self._case(folder, naming) for folder, naming in self._case_folders())
        yield from in_order(found, wanted=WANTED, folder=self.folder)

    def _case_folders(self) -> Iterator[tuple[Path, Naming]]:
        for folder in find_below(self.folder, "*", depths=range(3)):
            stems = list_image_stems(folder, "")
            for naming in NAMINGS if stems else ():
                if not set(stems).isdisjoint(naming.names(folder.name).values()):
                    yield folder, naming

    def _case(self, folder: Path, naming: Naming) -> Case:
        parts = folder.relative_to(self.folder).parts
        stems = {modality: folder / name for modality, name in naming.names(folder.name).items()}
        return Case(
            id=folder.name,
            images=find_modalities(folder.name, stems),
            label=self._mask(folder, naming),
            group=self._patient(folder.name),
            site=site[1] if (site := SITE.match(folder.name)) else "",
            **split_fields(strictest(SPLITS[word] for part in parts for word in _words(part) if word in SPLITS)),
            category=next((part for part in parts if part in GRADES), None),
        )

    def _patient(self, case_id: str) -> str:
        if self._options.patient:
            return self._options.patient_of(case_id, folder=self.folder)
        visit = VISIT.fullmatch(case_id)
        return (visit[1] or visit[2]) if visit else case_id

    def _mask(self, folder: Path, naming: Naming) -> Path | None:
        if naming.separator is not None:
            named = find_image(folder / f"{folder.name}{naming.separator}seg")
            return named or find_matching(folder, ".*_Segm", what="the tumour")  # one case of 2020 is named so
        beside = [parent / "labels" for parent in folders_up_to(self.folder, folder)]
        stems = [labels / name for labels in beside for name in (folder.name, f"{folder.name}_seg")]
        return next(filter(None, map(find_image, [folder / "seg", folder / "labels" / "seg", *stems])), None)


def _words(name: str) -> list[str]:
    """Return the words of a folder's name in lower case: TrainingData is training and data, so is trainingdata."""
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)
    return [word for mixed in words for word in re.sub(r"(?<=.)(data|set)$", r" \1", mixed.lower()).split()]
