"""Finding images in a dataset's folder: what every layout does in the same way."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from lesionlab.core.case import Case, Modality
from lesionlab.core.errors import LayoutError
from lesionlab.core.image_formats import VOLUME_ENDINGS, is_volume, stem_of
from lesionlab.core.natural_order import natural_key


def visible(folder: Path) -> list[Path]:
    """Return what lies directly in `folder` in natural order, hidden entries left out; empty for no folder."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if path.name[0] != "."), key=lambda path: natural_key(path.name))


def find_below(folder: Path, pattern: str, *, depths: Iterable[int]) -> Iterator[Path]:
    """Yield what matches `pattern` and lies so many folders below `folder` (0: in it), hidden entries left out."""
    for depth in depths:
        for path in folder.glob("*/" * depth + pattern):
            if not any(part[0] == "." for part in path.relative_to(folder).parts):
                yield path


def folders_up_to(top: Path, path: Path) -> list[Path]:
    """Return the folders above `path`, the nearest first, up to and including `top`."""
    return [folder for folder in path.parents if folder == top or top in folder.parents]


def list_image_stems(folder: Path, suffix: str) -> list[str]:
    """Return ``X`` for every visible volume ``X<suffix>.nii.gz`` (or of another format) of `folder`, each once."""
    stems = (stem_of(path) for path in visible(folder) if is_volume(path))
    return list(dict.fromkeys(stem.removesuffix(suffix) for stem in stems if stem.endswith(suffix) and stem != suffix))


def is_there(path: Path) -> bool:
    """Return whether a path leads to something that is no folder; a dead link is refused when it is read."""
    return os.path.lexists(path) and not path.is_dir()


def find_image(stem: Path, *, endings: Sequence[str] = VOLUME_ENDINGS) -> Path | None:
    """Return the file `stem` + ``.nii.gz`` or of another format of volumes, or None where there is none.

    Composed and decomposed letters (ü as one sign or two) count as equal.

    Args:
        stem: The file's path without its ending.
        endings: Of the formats that are looked for, in capitals or not.

    Raises:
        LayoutError: There are several, so that nobody can tell which one is meant.
    """
    names = dict.fromkeys((stem.name, *(unicodedata.normalize(form, stem.name) for form in ("NFC", "NFD"))))
    spelt = dict.fromkeys((*endings, *(ending.upper() for ending in endings)))
    candidates = (stem.with_name(name + ending) for name in names for ending in spelt)
    found = _distinct(path for path in candidates if is_there(path))
    if len(found) > 1:
        raise LayoutError(
            f"one image {stem.name}",
            found=" and ".join(path.name for path in found),
            where=stem.parent,
            next_step="delete the one that is not meant",
        )
    return found[0] if found else None


def find_matching(folder: Path, pattern: str, *, what: str) -> Path | None:
    """Return the image in `folder` whose name without its ending is all of the regular expression `pattern`.

    Capitals and small letters count as one. None where there is none.

    Args:
        folder: Where the image lies; it need not exist.
        pattern: Of the name without its ending.
        what: The image in words, named in the message.

    Raises:
        LayoutError: Several names match.
    """
    named = re.compile(pattern, re.IGNORECASE)
    volumes = (path for path in visible(folder) if is_volume(path) and is_there(path))
    found = [path for path in volumes if named.fullmatch(stem_of(path))]
    if len(found) > 1:
        raise LayoutError(
            f"one image of {what}",
            found=" and ".join(path.name for path in found),
            where=folder,
            next_step="move all but the one that is meant out of this folder",
        )
    return found[0] if found else None


def _distinct(paths: Iterable[Path]) -> list[Path]:
    """Return paths of different files: some file systems find one file under several spellings of its name."""
    entries = {(status.st_dev, status.st_ino): path for path in paths for status in [path.lstat()]}
    return list(entries.values())


def find_modalities(case_id: str, stems: Mapping[Modality, Path]) -> dict[Modality, Path]:
    """Return the image of each modality.

    Args:
        case_id: Named in the message.
        stems: For each modality the path that its image must have, without its ending.

    Raises:
        LayoutError: A modality has no image, or two.
    """
    images = {modality: find_image(stem) for modality, stem in stems.items()}
    for modality, stem in stems.items():
        if images[modality] is None:
            raise no_image(case_id, modality, named=f"{stem.name}.nii.gz or .nii", folder=stem.parent)
    return {modality: path for modality, path in images.items() if path is not None}


def no_image(case_id: str, modality: Modality, *, named: str, folder: Path) -> LayoutError:
    """Return the refusal of a case that lacks a modality, whose file in `folder` should be `named` so."""
    return LayoutError(
        f"an image of modality {modality!r} for case {case_id!r}, {named}",
        found=describe(folder),
        where=folder,
        next_step="add the image, or take the case out of the folder",
    )


def in_order(cases: Iterable[Case], *, wanted: str, folder: Path) -> list[Case]:
    """Return `cases` in the natural order of their ids.

    Raises:
        LayoutError: There is no case, or two have one id.
    """
    ordered = sorted(cases, key=lambda case: natural_key(case.id))
    if not ordered:
        next_step = "give the folder that directly holds these, or choose another layout (lesionlab list layouts)"
        raise LayoutError(wanted, found=describe(folder), where=folder, next_step=next_step)
    repeated = [case_id for case_id, count in Counter(case.id for case in ordered).items() if count > 1]
    if repeated:
        raise LayoutError(
            "every case once, each under an id of its own",
            found=f"more than one case {repeated[0]!r}",
            where=folder,
            next_step="rename or remove all but one; a patient in two splits would spoil every score",
        )
    return ordered


def describe(folder: Path) -> str:
    """Return what lies in `folder` in a few words, for a message."""
    if not folder.exists():
        return "no such folder"
    if not folder.is_dir():
        return "a file, not a folder"
    names = [path.name for path in visible(folder)]
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return ", ".join(names[:6]) + more if names else "an empty folder"
