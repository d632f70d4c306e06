"""Datasets as nnU-Net wants them: numbered channels in imagesTr, masks in labelsTr."""

import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, TypeAdapter

from lesionlab.core.case import Case, Modality, Split
from lesionlab.core.errors import LayoutError
from lesionlab.core.labels import Labels
from lesionlab.core.layout import layout
from lesionlab.layouts.dataset_json import read_dataset_json
from lesionlab.layouts.dataset_options import read_options
from lesionlab.layouts.image_files import ENDINGS, describe, find_image, in_order, visible
from lesionlab.layouts.tables import read_table, split_named

CITATION = "Isensee et al. 2021, Nature Methods 18:203-211, doi:10.1038/s41592-020-01008-z (the form of the folder)"

SPLITS_FILE = "splits_final.json"
FACTS_FILE = "cases.csv"
"""What nnU-Net has no place for: columns id, group, site, split, category; written by ``lesionlab convert``."""


class FoldOfCases(BaseModel):
    """One fold of nnU-Net's cross-validation, as ids of cases."""

    train: tuple[str, ...]
    val: tuple[str, ...]


_FOLDS = TypeAdapter(tuple[FoldOfCases, ...])


@layout("nnunet_raw")
class NnunetRaw:
    """Numbered channels: ``imagesTr/<id>_0000.nii.gz``, ``labelsTr/<id>.nii.gz``, ``dataset.json``.

    ``dataset.json`` may be of nnU-Net's version 1 or 2, with regions and with a label ``ignore``. Cases of
    ``imagesTr`` are for training, those of ``imagesTs`` (with masks in ``labelsTs``) for testing. Where there is a
    ``splits_final.json``, the cases of its first fold (or of ``fold`` in lesionlab.toml) validate. Pictures (``.png``)
    hold all channels in one file or one in each.

    Args:
        folder: Such as ``nnUNet_raw/Dataset001_Lesions``.

    Raises:
        LayoutError: There is no ``dataset.json``, or it or another description cannot be read.
    """

    modalities: tuple[Modality, ...]
    labels: Labels
    citation: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        described = read_dataset_json(folder)
        self._options = read_options(folder, used={"fold", "patient", "citation"})
        self._ending = described.file_ending
        self.modalities = described.modalities
        self.labels = described.regions()
        self.citation = self._options.citation or described.reference or CITATION

    def cases(self) -> Iterator[Case]:
        """Yield every case in the order of its id; a case without a mask has no label.

        Raises:
            LayoutError: There is no case, two have one id, a case lacks a channel, or a mask has no image.
        """
        facts = self._read_facts()
        validation = self._read_fold()
        parts: tuple[tuple[str, Split], ...] = (("Tr", "training"), ("Ts", "test"))
        found = [
            self._case(
                case_id,
                part=part,
                split="validation" if split == "training" and case_id in validation else split,
                facts=facts.get(case_id, {}),
            )
            for part, split in parts
            for case_id in self._ids(part)
        ]
        wanted = f"images imagesTr/<id>_0000{self._ending} as dataset.json has them"
        yield from in_order(found, wanted=wanted, folder=self.folder)

    def _ids(self, part: str) -> list[str]:
        images = (self._stem(path) for path in visible(self.folder / f"images{part}"))
        masks = (self._stem(path) for path in visible(self.folder / f"labels{part}"))
        numbered = (re.fullmatch(r"(.+)_\d{4}", stem) for stem in images if stem)
        return list(
            dict.fromkeys([*(match.group(1) for match in numbered if match), *(mask for mask in masks if mask)])
        )

    def _case(self, case_id: str, *, part: str, split: Split, facts: dict[str, str]) -> Case:
        stem = self.folder / f"images{part}" / case_id
        is_one_picture = self._ending not in ENDINGS and self._find(stem.with_name(f"{case_id}_0001")) is None
        images = {
            modality: self._image(case_id, stem, modality=modality, number=0 if is_one_picture else number)
            for number, modality in enumerate(self.modalities)
        }
        is_shared = is_one_picture and len(self.modalities) > 1
        return Case(
            id=case_id,
            images=images,
            label=self._find(self.folder / f"labels{part}" / case_id),
            group=facts.get("group") or self._options.patient_of(case_id, folder=self.folder),
            site=facts.get("site", ""),
            split=split_named(facts["split"], where=self.folder / FACTS_FILE) if "split" in facts else split,
            parts={modality: str(number) for number, modality in enumerate(self.modalities)} if is_shared else {},
            category=facts.get("category") or None,
        )

    def _image(self, case_id: str, stem: Path, *, modality: Modality, number: int) -> Path:
        name = f"{case_id}_{number:04d}"
        found = self._find(stem.with_name(name))
        if found is None:
            raise LayoutError(
                f"an image of modality {modality!r} for case {case_id!r}, {name}{self._ending}",
                found=describe(stem.parent),
                where=stem.parent,
                next_step="add the image, or take the case out of the folder",
            )
        return found

    def _find(self, stem: Path) -> Path | None:
        if self._ending in ENDINGS:
            return find_image(stem)
        path = stem.with_name(stem.name + self._ending)
        return path if path.is_file() else None

    def _stem(self, path: Path) -> str:
        """Return the name without its ending, or nothing for a file of another kind."""
        endings = ENDINGS if self._ending in ENDINGS else (self._ending,)
        fitting = [ending for ending in endings if path.name.endswith(ending)]
        return path.name.removesuffix(fitting[0]) if fitting else ""

    def _read_fold(self) -> frozenset[str]:
        path = self.folder / SPLITS_FILE
        if not path.is_file():
            return frozenset()
        try:
            return frozenset(_FOLDS.validate_json(path.read_bytes())[self._options.fold].val)
        except (OSError, ValueError, IndexError) as error:
            raise LayoutError(
                f"a list of folds with train and val, at least {self._options.fold + 1}",
                found=str(error).partition("\n")[0],
                where=path,
                next_step="correct it, or choose another fold in lesionlab.toml",
            ) from error

    def _read_facts(self) -> dict[str, dict[str, str]]:
        path = self.folder / FACTS_FILE
        if not path.is_file():
            return {}
        return {row.get("id", ""): row for row in read_table(path)}
