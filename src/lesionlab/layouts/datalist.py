"""Lists of cases in JSON, as MONAI, Auto3DSeg and sa-swin read them."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from lesionlab.core.case import Case, Modality
from lesionlab.core.errors import LayoutError
from lesionlab.core.image_formats import stem_of
from lesionlab.core.labels import LESION, Labels
from lesionlab.core.layout import layout
from lesionlab.core.split_rule import Part, settle_splits, split_fields
from lesionlab.core.text_files import read_json, read_text
from lesionlab.layouts.dataset_json import FILE, Description
from lesionlab.layouts.dataset_options import DatasetOptions, read_options, reason_of
from lesionlab.layouts.image_files import describe, in_order, visible
from lesionlab.layouts.listed_files import listed_file
from lesionlab.layouts.modality_names import distinct, modality_in

CITATION = "Cardoso et al. 2022, MONAI, arXiv:2211.02701 (the form of the list)"


class ListedCase(BaseModel):
    """One entry; keys that are not here are left alone.

    Attributes:
        image: Paths of its images, one per modality.
        label: Path of its mask, or the number of its class.
        fold: The fold in which it validates.
        id: Its name.
        group: The patient.
        site: Where it was acquired.
    """

    model_config = ConfigDict(coerce_numbers_to_str=True)

    image: Annotated[tuple[str, ...], Field(min_length=1)]
    label: int | str | None = None
    fold: int | None = None
    id: str = ""
    group: str = ""
    site: str = ""

    @field_validator("image", mode="before")
    @classmethod
    def _one_is_a_list_too(cls, image: object) -> object:
        return (image,) if isinstance(image, str) else image


class CaseList(Description):
    """One list; `testing` and `test` are the same."""

    training: tuple[ListedCase, ...] = ()
    validation: tuple[ListedCase, ...] = ()
    testing: tuple[ListedCase, ...] = ()
    test: tuple[ListedCase, ...] = ()

    @field_validator("testing", "test", mode="before")
    @classmethod
    def _a_path_is_a_case_too(cls, entries: list[object]) -> list[object]:
        return [{"image": entry} if isinstance(entry, str) else entry for entry in entries]

    def entries(self) -> Iterator[tuple[ListedCase, Part]]:
        """Yield every entry with the split that its list is named after."""
        yield from ((entry, "training") for entry in self.training)
        yield from ((entry, "validation") for entry in self.validation)
        yield from ((entry, "test") for entry in (*self.testing, *self.test))


@layout("datalist")
class Datalist:
    """JSON lists beside the images: ``{"training": [{"image": ..., "label": ..., "fold": 0}], "testing": [...]}``.

    ``image`` is a path or a list of paths, one per modality; ``label`` the path of a mask (segmentation), a number
    (classification: the case's category) or absent (pre-training). Paths are relative to the folder, or to ``images``
    in lesionlab.toml. Training cases of fold 0 (or of ``fold`` there) validate; those of ``validation`` and
    ``testing`` are what their names say and have no fold. All lists of the folder are read together, unless ``file``
    names one.

    Modalities are named by ``channels`` in lesionlab.toml, else by ``channel_names`` or ``modality`` in the list, else
    after words in the files' names. A case is named by its ``id``; else by its folder, if every case has its own;
    else by its first image.

    Args:
        folder: Where the lists lie.

    Raises:
        LayoutError: There is no list, or one cannot be read.

    Source: MONAI's load_decathlon_datalist; README and lists of sa-swin.
    Differs: a list that names a mask as its own image, as one of sa-swin's does, is refused.
    """

    modalities: tuple[Modality, ...]
    labels: Labels
    citation: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        used = {"channels", "file", "fold", "images", "patient", "regions", "ignored", "lesion_above"}
        self._options = read_options(folder, used=used)
        self._images = folder / self._options.images
        self._paths = _find_lists(folder, name=self._options.file)
        lists = [_read_list(path) for path in self._paths]
        self.modalities = _modalities(lists[0], self._options)
        self.labels = self._options.labels(lists[0].regions() if lists[0].labels else LESION)
        self.citation = self._options.citation or CITATION

    def cases(self) -> Iterator[Case]:
        """Yield every case in the order of its id.

        Raises:
            LayoutError: A list is empty, names a case twice or a file that is not there, or has other modalities.
        """
        lists = [_read_list(path) for path in self._paths]
        listed = [pair for one in lists for pair in one.entries()]
        self._check_once([entry for entry, _ in listed])
        self._check_fold([entry for entry, _ in listed])
        lodgers = Counter(parent for entry, _ in listed for parent in {Path(image).parent for image in entry.image})
        are_apart = max(lodgers.values()) == 1 and Path() not in lodgers
        found = [self._case(entry, split=split, name=_name(entry, are_apart=are_apart)) for entry, split in listed]
        yield from in_order(found, wanted="listed cases", folder=self.folder)

    def _check_once(self, entries: list[ListedCase]) -> None:
        repeated = [image for image, count in Counter(entry.image for entry in entries).items() if count > 1]
        if repeated:
            raise LayoutError(
                "every case once",
                found=f"more than one case of {repeated[0][0]}",
                where=" and ".join(str(path) for path in self._paths),
                next_step="correct the list, or say in lesionlab.toml which one to read, as file",
            )

    def _check_fold(self, entries: list[ListedCase]) -> None:
        folds = sorted({entry.fold for entry in entries if entry.fold is not None})
        is_chosen = "fold" in self._options.model_fields_set
        if self._options.fold not in folds and (folds or is_chosen):
            raise LayoutError(
                f"entries of fold {self._options.fold}, which validates",
                found=f"the folds {', '.join(map(str, folds))}" if folds else "no folds",
                where=" and ".join(str(path) for path in self._paths),
                next_step="choose one of them as fold in lesionlab.toml"
                if folds
                else "take fold out of lesionlab.toml",
            )

    def _split(self, entry: ListedCase, *, listed: Part, name: str) -> Part | None:
        """Return the split of an entry: that of its list, and of training cases that of the fold."""
        in_fold: Part = "validation" if entry.fold == self._options.fold else "training"
        sources = {"the name of its list": listed, "its fold": None if entry.fold is None else in_fold}
        return settle_splits({name: sources}, where=self.folder)[name]

    def _case(self, entry: ListedCase, *, split: Part, name: str) -> Case:
        if len(entry.image) != len(self.modalities) or entry.label in entry.image:
            raise LayoutError(
                f"{len(self.modalities)} images ({', '.join(self.modalities)}) and a mask of its own for every case",
                found=f"{', '.join(entry.image)} and mask {entry.label} for case {name!r}",
                where=self.folder,
                next_step="correct the list, or name the modalities as channels in lesionlab.toml",
            )
        images = zip(self.modalities, entry.image, strict=True)
        settled = self._split(entry, listed=split, name=name)
        is_mask = isinstance(entry.label, str) and bool(entry.label) and not entry.label.isdigit()
        return Case(
            id=name,
            images={
                modality: self._file(image, what=f"an image of modality {modality!r}", case_id=name)
                for modality, image in images
            },
            label=self._file(str(entry.label), what="a mask", case_id=name) if is_mask else None,
            group=entry.group or self._options.patient_of(name, folder=self.folder),
            site=entry.site,
            **split_fields(settled, by_fold=entry.fold is not None),
            category=None if is_mask or entry.label in (None, "") else str(entry.label),
        )

    def _file(self, listed: str, *, what: str, case_id: str) -> Path:
        """Return the file; a path from the root may be meant from the folder of images, as in sa-swin's lists."""
        is_inside = os.path.lexists(self._images / listed.lstrip("/"))
        listed = listed.lstrip("/") if is_inside else listed
        return listed_file(self._images, listed, what=what, case_id=case_id, listed_in="the list")


def _name(entry: ListedCase, *, are_apart: bool) -> str:
    """Return the entry's id; else its folder where every case has one of its own; else its first image."""
    first = Path(entry.image[0])
    path = first.parent if are_apart else first.with_name(stem_of(first))
    return entry.id.replace("/", "_") or "_".join(part for part in path.parts if part not in ("/", ".", ".."))


def _modalities(described: CaseList, options: DatasetOptions) -> tuple[Modality, ...]:
    """Return the names of the images in each entry, in their order."""
    named = options.channels or described.modalities
    first, _ = next(described.entries())
    if len(named) == len(first.image):
        return named
    return distinct(modality_in(stem_of(Path(image))) or "image" for image in first.image)


def _find_lists(folder: Path, *, name: str) -> list[Path]:
    """Return the lists of the folder; ``dataset.json`` beside ``imagesTr`` is the Decathlon's or nnU-Net's own."""
    others = {FILE} if (folder / "imagesTr").is_dir() else set()
    files = [path for path in visible(folder) if path.suffix.lower() == ".json" and path.name not in others]
    found = [path for path in files if (path.name == name if name else _is_list(path))]
    if not found:
        raise LayoutError(
            f"a list {name or '(JSON) of training, validation or testing cases'}",
            found=describe(folder),
            where=folder,
            next_step="give the folder that directly holds it, or choose another layout (lesionlab list layouts)",
        )
    return found


def _is_list(path: Path) -> bool:
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return False
    entries = [content.get(key) for key in CaseList.model_fields] if isinstance(content, dict) else []
    return any(isinstance(part, list) and part for part in entries)


def _read_list(path: Path) -> CaseList:
    try:
        read = CaseList.model_validate_json(read_text(path))
        next(read.entries())
    except (OSError, ValueError, StopIteration) as error:
        raise LayoutError(
            'a list such as {"training": [{"image": ..., "label": ...}]}',
            found=reason_of(error),
            where=path,
            next_step="correct the list",
        ) from error
    return read
