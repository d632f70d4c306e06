"""The file ``dataset.json`` of nnU-Net, versions 1 and 2, and of the Medical Segmentation Decathlon."""

import re
from pathlib import Path

from pydantic import BaseModel, field_validator

from lesionlab.core.case import Modality
from lesionlab.core.errors import LayoutError
from lesionlab.core.labels import Labels
from lesionlab.core.text_files import read_text
from lesionlab.layouts.dataset_options import reason_of
from lesionlab.layouts.image_files import describe
from lesionlab.layouts.modality_names import distinct, modality_named

FILE = "dataset.json"
IGNORED = "ignore"
"""The name under which nnU-Net stores what must not count."""


class ListedPair(BaseModel):
    """One entry of a Decathlon list: an image and its mask, relative to the list's folder."""

    image: str
    label: str


class Description(BaseModel):
    """What such files say about all images and masks.

    Attributes:
        channel_names: Number of each channel and its name (nnU-Net version 2).
        modality: The same (nnU-Net version 1, Decathlon).
        labels: Name of each label or region and its stored value or values (version 2); or each stored value and its
            name (version 1, Decathlon).
    """

    channel_names: dict[int, str] = {}
    modality: dict[int, str] = {}
    labels: dict[str, int | str | frozenset[int]] = {}

    @field_validator("channel_names", "modality", "labels", mode="before")
    @classmethod
    def _only_tables(cls, value: object) -> object:
        return value if isinstance(value, dict) else {}

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The channels' names as lesionlab has them, in their order."""
        names = self.channel_names or self.modality
        return distinct(modality_named(names[number]) for number in sorted(names))

    def regions(self) -> Labels:
        """Return the regions: version 2's own, or each stored value alone."""
        named = {}
        for name, values in self.labels.items():
            if isinstance(values, str):
                named[region_named(values)] = frozenset({int(name)})
            else:
                named[region_named(name)] = frozenset({values} if isinstance(values, int) else values)
        ignored = named.pop(IGNORED, frozenset())
        return Labels(regions={name: values for name, values in named.items() if values != {0}}, ignored=ignored)


class ListedImages(BaseModel):
    """One entry of nnU-Net's table ``dataset``: the images of the channels in their order, and the mask."""

    images: tuple[str, ...]
    label: str = ""


class DatasetJson(Description):
    """What lesionlab reads of ``dataset.json``; other keys are left alone.

    Attributes:
        file_ending: Of every image and mask (version 2).
        dataset: Files of each training case that lie elsewhere or have other names (version 2).
        training: Images and masks (version 1, Decathlon).
        test: Images without masks.
        reference: Who made the dataset.
    """

    file_ending: str = ".nii.gz"
    dataset: dict[str, ListedImages] = {}
    training: tuple[ListedPair, ...] = ()
    test: tuple[str, ...] = ()
    reference: str = ""


def read_dataset_json(folder: Path) -> DatasetJson:
    """Read the description of the dataset in `folder`.

    Raises:
        LayoutError: The file is missing or damaged, or names no channel or no label beside the background.
    """
    path = folder / FILE
    if not path.is_file():
        raise LayoutError(
            f"a file {FILE}",
            found=describe(folder),
            where=folder,
            next_step="give the folder that directly holds it, or choose another layout (lesionlab list layouts)",
        )
    try:
        described = DatasetJson.model_validate_json(read_text(path))
        if not described.modalities or not described.regions().regions:
            raise ValueError("no channel, or no label beside the background")
    except (OSError, ValueError) as error:
        raise LayoutError(
            "a description with channel_names (or modality) and labels",
            found=reason_of(error),
            where=path,
            next_step="correct the file after the documentation of nnU-Net",
        ) from error
    return described


def region_named(word: str) -> str:
    """Return a region's name without signs that a file's name could not have."""
    return re.sub(r"\W+", "_", word).strip("_") or "region"
