"""Pictures and their masks: photographs, endoscopy, skin, single slices."""

import re
import unicodedata
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

from PIL import Image as Picture
from PIL import UnidentifiedImageError

from lesionlab.core.case import Case, Modality
from lesionlab.core.errors import LayoutError
from lesionlab.core.image_formats import PICTURE_ENDINGS, ending_of, is_picture
from lesionlab.core.labels import Labels
from lesionlab.core.layout import layout
from lesionlab.core.natural_order import natural_key
from lesionlab.core.split_rule import Part, settle_splits, split_fields
from lesionlab.layouts.dataset_options import read_options
from lesionlab.layouts.image_files import describe, in_order, is_there, visible
from lesionlab.layouts.tables import SPLIT_WORDS, columns_of, read_table, tables_in

MASK_NAME = re.compile(r"(?P<name>.+?)_(mask|segmentation|seg)(?P<number>_\d+)?", re.IGNORECASE)
"""The name of a mask: that of its picture and a mark, with a number where a picture has several masks."""

COMPANION = re.compile(r"_[A-Za-z][A-Za-z_]*")
"""What stands behind a picture's name in that of another picture made from it, such as ``_superpixels``."""

LABELS = Labels(regions={"lesion": frozenset({1})}, lesion_above=127.0)
"""Masks are white on black, perhaps with the noise of JPEG."""

CITATION = "no paper: images/ and masks/ is the usual form of sets of pictures"

PATIENTS = re.compile(r"(TCGA_[A-Za-z0-9]{2}_[A-Za-z0-9]{4}|(?:case|patient|sub-)[A-Za-z0-9]+)[_-]")
"""Beginnings of names that are known to be patients; all other pictures are patients of their own."""

WANTED = "pictures in images/ with masks in masks/, or <name>.tif beside <name>_mask.tif"


@layout("image_mask")
class ImageMask:
    """Pictures of one kind: ``images/<id>.png`` and ``masks/<id>.png``, or ``<id>.tif`` beside ``<id>_mask.tif``.

    Endings may be png, jpg, tif, bmp, gif and webp, a mask's another than its picture's, and ``_mask``,
    ``_segmentation`` or ``_seg`` may stand before a mask's. Several masks of one picture (``_mask``, ``_mask_1``) are
    joined. A picture without a mask that is named after one with a mask (``_superpixels``) is left alone. Masks show
    white on black, 0 and 1, or the ``colours`` that lesionlab.toml says.

    The two folders may lie in folders named as splits (``train``, ``val``,
    ``test``, ...), which then give the split and the beginning of the id, and pictures beside their masks in a folder
    each patient. A coloured picture has the modalities red, green and blue, a grey one the modality grey, or those
    that lesionlab.toml names as ``channels``.

    Pictures named as slices of one patient (``TCGA_CS_4941_..._7``, ``case12_...``, ``patient3_...``, ``sub-x_...``)
    belong together; for other names, lesionlab.toml tells the ``patient``. A table ``image_id,category`` beside the
    folders gives splits (when each category is train, test, ...) or categories; it may set a picture of the folder
    ``train`` aside for validation or test, but not the other way round.

    Args:
        folder: Where the folders of images and masks lie.

    Raises:
        LayoutError: There is no picture with a mask, or the first picture or ``lesionlab.toml`` cannot be read.
    """

    modalities: tuple[Modality, ...]
    labels: Labels
    citation: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        used = {"channels", "images", "masks", "file", "patient", "regions", "ignored", "lesion_above", "colours"}
        self._options = read_options(folder, used=used)
        self.modalities = self._options.channels or _channels(self._first_picture())
        self.labels = self._options.labels(LABELS)
        self.citation = self._options.citation or CITATION

    def cases(self) -> Iterator[Case]:
        """Yield every case in the order of its id; a picture without a mask has no label.

        Raises:
            LayoutError: There is no case, a mask has no picture, or two pictures or masks are meant for one case.
        """
        categories = self._read_categories()
        found = [
            self._case(name, picture=picture, masks=own, prefix=prefix, split=split, categories=categories)
            for images, masks, prefix, split in self._pairs_of_folders()
            for name, picture, own in _pairs(images, masks, what=f"{', '.join(self.modalities)} of case {prefix}")
        ]
        yield from in_order(found, wanted=WANTED, folder=self.folder)

    def _first_picture(self) -> Path:
        for images, masks, _, _ in self._pairs_of_folders():
            for _, picture, _ in _pairs(images, masks, what="of case "):
                return picture
        next_step = "give the folder that directly holds these, or choose another layout (lesionlab list layouts)"
        raise LayoutError(WANTED, found=describe(self.folder), where=self.folder, next_step=next_step)

    def _pairs_of_folders(self) -> Iterator[tuple[Path, Path, str, Part | None]]:
        """Yield each folder of images, its folder of masks, the beginning of its ids, and its split."""
        names = (self._options.images or "images", self._options.masks or "masks")
        parts = [path for path in visible(self.folder) if path.name.lower() in SPLIT_WORDS]
        for part, prefix, split in [
            (self.folder, "", None),
            *((part, f"{part.name}_", SPLIT_WORDS[part.name.lower()]) for part in parts),
        ]:
            if (part / names[0]).is_dir():
                yield part / names[0], part / names[1], prefix, split
        if not (self.folder / names[0]).is_dir():
            yield from ((path, path, "", None) for path in self._folders_with_masks_beside())

    def _folders_with_masks_beside(self) -> Iterator[Path]:
        for folder in (self.folder, *visible(self.folder)):
            stems = {path.stem for path in _pictures(folder)}
            if any((named := MASK_NAME.fullmatch(stem)) and named["name"] in stems for stem in stems):
                yield folder

    def _case(
        self,
        name: str,
        *,
        picture: Path,
        masks: list[Path],
        prefix: str,
        split: Part | None,
        categories: dict[str, str],
    ) -> Case:
        category = categories.get(picture.name) or categories.get(name)
        are_splits = bool(categories) and all(word.lower() in SPLIT_WORDS for word in categories.values())
        listed = SPLIT_WORDS[category.lower()] if category and are_splits else None
        sources = {prefix + name: {f"the folder {prefix.rstrip('_')}": split, "the table of pictures": listed}}
        settled = settle_splits(sources, where=self.folder)
        known = PATIENTS.match(name)
        is_shared = len(self.modalities) > 1
        return Case(
            id=prefix + name,
            images=dict.fromkeys(self.modalities, picture),
            label=masks[0] if masks else None,
            further_labels=tuple(masks[1:]),
            group=known.group(1) if known and not self._options.patient else self._patient(name, prefix=prefix),
            **split_fields(settled[prefix + name]),
            parts={modality: str(number) for number, modality in enumerate(self.modalities)} if is_shared else {},
            category=None if are_splits else category,
        )

    def _patient(self, name: str, *, prefix: str) -> str:
        patient = self._options.patient_of(name, folder=self.folder)
        return patient if self._options.patient else prefix + patient

    def _read_categories(self) -> dict[str, str]:
        """Return the category of each picture by the name of its file."""
        named = [path for path in tables_in(self.folder) if self._options.file in ("", path.name)]
        found = {path: read_table(path) for path in named if {"image_id", "category"} <= set(columns_of(path))}
        if len(found) > 1 or (self._options.file and not found):
            raise LayoutError(
                "one table with the columns image_id and category",
                found=" and ".join(path.name for path in found) or describe(self.folder),
                where=self.folder,
                next_step="name the one to use as file in lesionlab.toml",
            )
        return {row["image_id"]: row["category"] for rows in found.values() for row in rows}


def _pairs(images: Path, masks: Path, *, what: str) -> list[tuple[str, Path, list[Path]]]:
    """Return name, picture and masks of each case of a folder of images and its folder of masks.

    Raises:
        LayoutError: Two files have one name, a mask has no picture, or masks are of a kind that is not read.
    """
    pictures = _by_stem(_pictures(images))
    is_one_folder = images == masks
    named_as_masks = {stem for stem in pictures if is_one_folder and MASK_NAME.fullmatch(stem)}
    names = {_composed(stem): stem for stem in pictures if stem not in named_as_masks}
    files = {stem: pictures[stem] for stem in named_as_masks} if is_one_folder else _by_stem(_pictures(masks))
    of_name: dict[str, list[Path]] = {}
    for stem, path in sorted(files.items(), key=lambda item: natural_key(item[0])):
        of_name.setdefault(_name_of(stem, names), []).append(path)
    lost = [name for name in of_name if name not in names]
    if lost:
        raise LayoutError(
            f"a picture for every mask, {what}{lost[0]}",
            found=f"only its mask {of_name[lost[0]][0].name}",
            where=images,
            next_step="add the picture, or take the mask out of the folder",
        )
    cases = [(stem, pictures[stem], of_name.get(name, [])) for name, stem in names.items()]
    _check_masks_are_read(masks, without={name for name in names if name not in of_name})
    with_masks = {stem for stem, _, own in cases if own}
    return [(stem, picture, own) for stem, picture, own in cases if own or not _is_companion(stem, with_masks)]


def _name_of(stem: str, names: Container[str]) -> str:
    """Return the name of the picture whose mask has this name."""
    named = MASK_NAME.fullmatch(_composed(stem))
    return named["name"] if named and _composed(stem) not in names else _composed(stem)


def _composed(text: str) -> str:
    """Return a name with letters such as ü as one sign, as which some systems store it and others do not."""
    return unicodedata.normalize("NFC", text)


def _is_companion(stem: str, with_masks: Container[str]) -> bool:
    """Return whether a picture without a mask is named after one that has a mask."""
    places = [place for place, sign in enumerate(stem) if sign == "_" and COMPANION.fullmatch(stem[place:])]
    return any(stem[:place] in with_masks for place in places)


def _check_masks_are_read(folder: Path, *, without: Container[str]) -> None:
    """Refuse a folder of masks where a picture without one has it in a format that is not read."""
    for path in visible(folder):
        stem = path.name.partition(".")[0]
        if path.is_file() and ending_of(path) not in PICTURE_ENDINGS and _name_of(stem, ()) in without:
            raise LayoutError(
                f"masks as pictures ({', '.join(ending[1:] for ending in PICTURE_ENDINGS)})",
                found=path.name,
                where=folder,
                next_step="convert the masks to PNG, or take such files out of the folder",
            )


def _pictures(folder: Path) -> list[Path]:
    return [path for path in visible(folder) if is_picture(path) and is_there(path)]


def _by_stem(paths: Iterable[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        if path.stem in found:
            raise LayoutError(
                f"one image {path.stem}",
                found=f"{found[path.stem].name} and {path.name}",
                where=path.parent,
                next_step="delete the one that is not meant",
            )
        found[path.stem] = path
    return found


def _channels(picture: Path) -> tuple[Modality, ...]:
    """Return the channels of a picture as its header has them; transparency is none."""
    try:
        with Picture.open(picture) as opened:
            mode = opened.mode
    except (OSError, SyntaxError, UnidentifiedImageError) as error:
        raise LayoutError(
            "a picture", found=str(error), where=picture, next_step="save it again as PNG, or take it out"
        ) from error
    return ("grey",) if mode in ("1", "L", "LA") or mode[0] in "IF" else ("red", "green", "blue")
