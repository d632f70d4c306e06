"""Datasets as nnU-Net wants them: numbered channels in imagesTr, masks in labelsTr."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from pydantic import BaseModel, TypeAdapter

from lesionlab.core.case import Case, Modality
from lesionlab.core.errors import LayoutError
from lesionlab.core.image_formats import PICTURE_ENDINGS, READ_FORMATS, VOLUME_ENDINGS, ending_of, stem_of
from lesionlab.core.labels import Labels
from lesionlab.core.layout import layout
from lesionlab.core.split_rule import Part, SplitFields, name_cases, settle_splits, split_fields
from lesionlab.core.text_files import read_text
from lesionlab.layouts.dataset_json import FILE, read_dataset_json
from lesionlab.layouts.dataset_options import read_options
from lesionlab.layouts.image_files import describe, find_image, in_order, visible
from lesionlab.layouts.listed_files import listed_file
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

FOLDERS: dict[str, Part] = {"Tr": "training", "Ts": "test"}
"""End of the names of the folders of images and masks, and what their cases are for."""


@layout("nnunet_raw")
class NnunetRaw:
    """Numbered channels: ``imagesTr/<id>_0000.nii.gz``, ``labelsTr/<id>.nii.gz``, ``dataset.json``.

    ``dataset.json`` may be of nnU-Net's version 1 or 2, with regions and with a label ``ignore``. Cases of
    ``imagesTr``, or of its table ``dataset``, are for training, those of ``imagesTs`` (with masks in ``labelsTs``) for
    testing. Where there is a ``splits_final.json``, the cases of its first fold (or of ``fold`` in lesionlab.toml)
    validate, and cases that this fold does not list are not learned from. A split in ``cases.csv`` may set a case aside
    for validation or test. Pictures (``.png``) hold all channels in one file or one in each.

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
        self._options = read_options(folder, used={"fold", "patient", "regions", "ignored"})
        self._endings = _endings(described.file_ending, folder)
        self._listed = described.dataset
        self.modalities = described.modalities
        self.labels = self._options.labels(described.regions())
        self.citation = self._options.citation or described.reference or CITATION

    def cases(self) -> Iterator[Case]:
        """Yield every case in the order of its id; a case without a mask has no label.

        Raises:
            LayoutError: There is no case, two have one id, a case lacks a channel, a mask has no image, or the fold
                lists a case twice or one that there is not.
            SplitError: ``splits_final.json`` or ``cases.csv`` would learn from a case that is set aside.
        """
        facts = self._read_facts()
        places = [(case_id, part) for part in FOLDERS for case_id in self._ids(part)]
        splits = self._splits(places, facts)
        found = [
            self._case(case_id, part=part, split=splits[case_id], facts=facts.get(case_id, {}))
            for case_id, part in places
        ]
        wanted = f"images imagesTr/<id>_0000{self._endings[0]} as dataset.json has them"
        yield from in_order(found, wanted=wanted, folder=self.folder)

    def _ids(self, part: str) -> list[str]:
        if part == "Tr" and self._listed:
            return list(self._listed)
        images, masks = (self._stems(self.folder / f"{kind}{part}") for kind in ("images", "labels"))
        numbered = (re.fullmatch(r"(.+)_\d{4}", stem) for stem in images)
        return list(dict.fromkeys([*(match.group(1) for match in numbered if match), *masks]))

    def _splits(self, places: list[tuple[str, str]], facts: dict[str, dict[str, str]]) -> dict[str, SplitFields]:
        """Return the split of every case by its folder, its cell in the table and the lists of the chosen fold.

        ``imagesTr`` holds whatever is no test case, so that an empty cell there leaves a case without a split.
        """
        listed = self._read_fold(frozenset(case_id for case_id, _ in places))
        sources: dict[str, dict[str, Part | None]] = {}
        for case_id, part in places:
            word = facts.get(case_id, {}).get("split")
            cell = split_named(word or "", where=self.folder / FACTS_FILE)
            by_folder = None if part == "Tr" and word == "" else FOLDERS[part]
            sources[case_id] = {f"images{part}": by_folder, FACTS_FILE: cell, SPLITS_FILE: listed.get(case_id)}
        splits = settle_splits(sources, where=self.folder)
        if not listed:
            return {case_id: split_fields(split) for case_id, split in splits.items()}
        return {
            case_id: split_fields(split if case_id in listed or split in ("test", "sealed") else None, by_fold=True)
            for case_id, split in splits.items()
        }

    def _case(self, case_id: str, *, part: str, split: SplitFields, facts: dict[str, str]) -> Case:
        if part == "Tr" and self._listed:
            return self._listed_case(case_id, split=split, facts=facts)
        stem = self.folder / f"images{part}" / case_id
        is_one_picture = self._endings != VOLUME_ENDINGS and self._find(stem.with_name(f"{case_id}_0001")) is None
        images = {
            modality: self._image(case_id, stem, modality=modality, number=0 if is_one_picture else number)
            for number, modality in enumerate(self.modalities)
        }
        is_shared = is_one_picture and len(self.modalities) > 1
        case = self._described(case_id, images, split=split, facts=facts)
        parts = {modality: str(number) for number, modality in enumerate(self.modalities)} if is_shared else {}
        return replace(case, label=self._find(self.folder / f"labels{part}" / case_id), parts=parts)

    def _listed_case(self, case_id: str, *, split: SplitFields, facts: dict[str, str]) -> Case:
        listed, find = self._listed[case_id], partial(listed_file, self.folder, case_id=case_id, listed_in=FILE)
        if len(listed.images) != len(self.modalities):
            raise LayoutError(
                f"{len(self.modalities)} images ({', '.join(self.modalities)}) for case {case_id!r}",
                found=f"{len(listed.images)}: {', '.join(listed.images)}",
                where=self.folder / FILE,
                next_step="list an image for each channel, in the order of channel_names",
            )
        images = {
            modality: find(image, what=f"an image of modality {modality!r}")
            for modality, image in zip(self.modalities, listed.images, strict=True)
        }
        case = self._described(case_id, images, split=split, facts=facts)
        return replace(case, label=find(listed.label, what="a mask") if listed.label else None)

    def _described(
        self, case_id: str, images: dict[Modality, Path], *, split: SplitFields, facts: dict[str, str]
    ) -> Case:
        """Return a case with its images and what ``cases.csv`` says of it, as yet without a mask."""
        return Case(
            id=case_id,
            images=images,
            label=None,
            group=facts.get("group") or self._options.patient_of(case_id, folder=self.folder),
            site=facts.get("site", ""),
            **split,
            category=facts.get("category") or None,
        )

    def _image(self, case_id: str, stem: Path, *, modality: Modality, number: int) -> Path:
        name = f"{case_id}_{number:04d}"
        found = self._find(stem.with_name(name))
        if found is None:
            raise LayoutError(
                f"an image of modality {modality!r} for case {case_id!r}, {name}{self._endings[0]}",
                found=describe(stem.parent),
                where=stem.parent,
                next_step="add the image, or take the case out of the folder",
            )
        return found

    def _find(self, stem: Path) -> Path | None:
        return find_image(stem, endings=self._endings)

    def _stems(self, folder: Path) -> list[str]:
        return [stem_of(path) for path in visible(folder) if ending_of(path) in self._endings]

    def _read_fold(self, ids: frozenset[str]) -> dict[str, Part]:
        """Return what each case of the chosen fold is for; nothing where there are no folds.

        Raises:
            LayoutError: There is no such fold, it has nobody to train or to validate, or its cases are not these.
        """
        path, number = self.folder / SPLITS_FILE, self._options.fold
        if not path.is_file():
            if "fold" in self._options.model_fields_set:
                raise _fold_error(path, f"fold {number}, as lesionlab.toml says", "no such file", "take fold out of it")
            return {}
        try:
            fold = _FOLDS.validate_json(read_text(path))[number]
        except (OSError, ValueError, IndexError) as error:
            wanted = f"a list of folds with train and val, at least {number + 1}"
            reason = str(error).partition("\n")[0]
            raise _fold_error(path, wanted, reason, "correct it, or choose another fold in lesionlab.toml") from error
        listed = [*fold.train, *fold.val]
        unknown = [case_id for case_id in listed if case_id not in ids]
        repeated = [case_id for case_id, count in Counter(listed).items() if count > 1]
        if unknown:
            found = f"{len(unknown)} others in fold {number}: {name_cases(unknown)}"
            raise _fold_error(
                path, "ids of cases in imagesTr", found, "write them without channel and ending, or take them out"
            )
        if repeated or not fold.train or not fold.val:
            found = f"twice: {name_cases(repeated)}" if repeated else f"{len(fold.train)} and {len(fold.val)}"
            raise _fold_error(path, f"cases in train, and others in val, of fold {number}", found, "correct the fold")
        return {**dict.fromkeys(fold.train, "training"), **dict.fromkeys(fold.val, "validation")}

    def _read_facts(self) -> dict[str, dict[str, str]]:
        path = self.folder / FACTS_FILE
        if not path.is_file():
            return {}
        return {row.get("id", ""): row for row in read_table(path)}


def _fold_error(path: Path, wanted: str, found: str, next_step: str) -> LayoutError:
    return LayoutError(wanted, found=found, where=path, next_step=next_step)


def _endings(stated: str, folder: Path) -> tuple[str, ...]:
    """Return the endings of a dataset's files: that of its pictures, or those of all formats of volumes.

    Raises:
        LayoutError: Files with such an ending are not read.
    """
    ending = stated.lower()
    if ending not in (*VOLUME_ENDINGS, *PICTURE_ENDINGS):
        raise LayoutError(
            f"a file_ending that is read: {READ_FORMATS}",
            found=stated or "none",
            where=folder / FILE,
            next_step="correct it, or convert the images",
        )
    return VOLUME_ENDINGS if ending in VOLUME_ENDINGS else (ending,)
