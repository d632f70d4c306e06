"""The raw folders of nnU-Net, version 2, as a form to convert to."""

import csv
import io
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lesionlab.core.case import Case, Modality
from lesionlab.core.split_rule import part_of
from lesionlab.layouts.dataset_json import FILE, IGNORED
from lesionlab.layouts.nnunet_raw import FACTS_FILE, SPLITS_FILE
from lesionlab.workflows.conversion_forms import Numbering, Origin

logger = logging.getLogger(__name__)

ENDING = ".nii.gz"


class NnunetForm:
    """``imagesTr/<id>_0000.nii.gz``, ``labelsTr/<id>.nii.gz``; test cases and those without a mask in ``imagesTs``.

    What lies in ``imagesTs`` is a test case, with or without a mask: nnU-Net learns from none of it.

    ``cases.csv`` keeps what nnU-Net has no place for: patient, site, split and category; nnU-Net leaves it alone.

    Args:
        modalities: Of the dataset, in the order of nnU-Net's channels.
    """

    layout = "nnunet_raw"
    shares_grid = True

    def __init__(self, modalities: tuple[Modality, ...]) -> None:
        self._modalities = modalities

    def check(self, cases: Sequence[Case]) -> None:
        """Accept all cases: every id is a name."""

    def image_file(self, case: Case, modality: Modality) -> Path:
        """Return where an image goes."""
        return Path(f"images{_part(case)}") / f"{case.id}_{self._modalities.index(modality):04d}{ENDING}"

    def label_file(self, case: Case) -> Path:
        """Return where the mask goes."""
        return Path(f"labels{_part(case)}") / f"{case.id}{ENDING}"

    def brain_file(self, case: Case) -> None:
        """Return None: nnU-Net knows no masks of the brain."""

    def descriptions(self, cases: Sequence[Case], origin: Origin) -> dict[Path, str]:
        """Return ``dataset.json``, ``cases.csv`` and, where cases validate, ``splits_final.json``."""
        training = [case for case in cases if _part(case) == "Tr"]
        described = {
            "channel_names": {str(number): _channel(name) for number, name in enumerate(origin.modalities)},
            **_labels(origin.numbering),
            "numTraining": len(training),
            "file_ending": ENDING,
            **({"reference": origin.citation} if origin.citation else {}),
            **({"licence": origin.licence} if origin.licence else {}),
        }
        files = {Path(FILE): _json(described), Path(FACTS_FILE): _facts(cases)}
        validation = [case.id for case in training if case.split == "validation"]
        if validation:
            others = [case.id for case in training if case.split != "validation"]
            files[Path(SPLITS_FILE)] = _json([{"train": others, "val": validation}])
            logger.info(
                "nnU-Net reads %s from its folder in nnUNet_preprocessed: copy it there once planned", SPLITS_FILE
            )
        return files


def _part(case: Case) -> str:
    return "Ts" if case.split == "test" or case.label is None else "Tr"


def _split(case: Case) -> str:
    return part_of(case) or "" if _part(case) == "Tr" or case.split == "test" else "test"


def _channel(modality: Modality) -> str:
    """Return nnU-Net's name of a channel: it knows CT, in capitals, as Hounsfield units."""
    return "CT" if modality == "ct" else modality


def _labels(numbering: Numbering) -> dict[str, Any]:
    """Return ``labels`` and, for overlapping regions, ``regions_class_order``."""
    values = {name: list(own) if len(own) > 1 else own[0] for name, own in numbering.regions.items()}
    labels: dict[str, Any] = {"background": 0, **values}
    if numbering.ignored is not None:
        labels[IGNORED] = numbering.ignored
    if numbering.are_exclusive:
        return {"labels": labels}
    return {"labels": labels, "regions_class_order": [numbering.painted(name) for name in numbering.regions]}


def _facts(cases: Sequence[Case]) -> str:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["id", "group", "site", "split", "category"])
    writer.writerows([case.id, case.group, case.site, _split(case), case.category or ""] for case in cases)
    return stream.getvalue()


def _json(content: object) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
