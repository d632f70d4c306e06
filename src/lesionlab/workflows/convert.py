"""Write a dataset anew in a form that other programs read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Num

from lesionlab.core.case import Case, Modality
from lesionlab.core.errors import LayoutError, StorageError
from lesionlab.core.folder_lock import has_files, lock_folder
from lesionlab.core.grid import Grid
from lesionlab.core.labels import Labels
from lesionlab.core.layout import Layout
from lesionlab.core.storage import write_text_atomically
from lesionlab.engine.case_files import read_brain_mask, read_mask, read_scan
from lesionlab.engine.case_loop import work_through_cases
from lesionlab.engine.finished_work import FinishedWork
from lesionlab.engine.images import Image, write_image
from lesionlab.layouts.licence import find_citation, find_licence
from lesionlab.layouts.opening import open_layout
from lesionlab.transforms.geometry import to_working
from lesionlab.workflows.bids_form import RECORD, BidsForm
from lesionlab.workflows.conversion_forms import Form, Numbering, Origin
from lesionlab.workflows.nnunet_form import NnunetForm

FormName: TypeAlias = Literal["nnunet_raw", "bids"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """What a conversion left behind.

    Attributes:
        files: Every image, mask and description, finished before or now.
        failures: Case id -> why it was not converted.
    """

    files: tuple[Path, ...]
    failures: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """One image or mask of a case: where it goes in the new folder, where it is from, and what is in it."""

    place: Path
    source: Path
    image: Image
    is_mask: bool


def convert(data: str, form: FormName, out: Path, *, resample: bool = False) -> Converted:
    """Write every case of a dataset as NIfTI in the folders of nnU-Net or of BIDS; the dataset stays as it is.

    Axes are turned nearest to RAS+, which changes no value. Masks get consecutive values from 1 on, one for each
    combination of regions, and what must not count the highest. A case that fails does not stop the others; finished
    cases are skipped when neither their files nor the form have changed. At the end the new folder is read back.

    Args:
        data: LAYOUT:FOLDER.
        form: Which folders.
        out: A new or empty folder, or that of an earlier conversion of the same dataset.
        resample: Whether to interpolate images, and take the nearest value of masks, onto the grid of the first
            modality where they lie on another. nnU-Net wants one grid.

    Raises:
        LayoutError: The dataset cannot be read, `out` holds something else, or the form has no names for the cases.
        StorageError: A file could not be written whole, or the new folder does not read back.
    """
    _, layout = open_layout(data)
    cases = tuple(layout.cases())
    origin = Origin(
        modalities=layout.modalities,
        numbering=Numbering.of(layout.labels),
        citation=find_citation(layout.folder),
        licence=find_licence(layout.folder),
    )
    built: Form = NnunetForm(layout.modalities) if form == "nnunet_raw" else BidsForm(cases, origin.numbering)
    built.check(cases)
    _check_apart(out, source=layout.folder)
    with lock_folder(out):
        work = _open_work(out, cases)
        failures = work_through_cases(
            cases,
            what="converting",
            record=work,
            key=partial(_key, layout=layout, built=built, settings=[form, resample]),
            work=partial(_convert_case, layout=layout, built=built, origin=origin, out=out, resample=resample),
            files_of=lambda case: [out / place for place in _places(case, layout.modalities, built=built)],
        )
        finished = [case for case in cases if case.id not in failures]
        described = _describe(finished, built=built, origin=origin, out=out)
        written = [path for case in finished for path in work.files(case.id)]
        return Converted(files=(*written, *described), failures=failures)


def _check_apart(out: Path, *, source: Path) -> None:
    """Refuse a folder that is the dataset's own, lies in it or around it."""
    new, old = out.resolve(), source.resolve()
    if new == old or old in new.parents or new in old.parents:
        raise LayoutError(
            "a folder apart from the dataset", found=str(out), where=source, next_step="choose another folder"
        )


def _open_work(out: Path, cases: Sequence[Case]) -> FinishedWork:
    """Refuse a folder that holds something else than an earlier conversion of the same dataset."""
    work = FinishedWork(out / RECORD)
    others = sorted(set(work.cases) - {case.id for case in cases})
    is_other = has_files(out) and not work.path.exists()
    if others or is_other:
        raise LayoutError(
            "a new or empty folder, or one of an earlier conversion of this dataset",
            found=f"a conversion with case {others[0]!r}" if others else "other files",
            where=out,
            next_step="choose another folder, or empty this one",
        )
    return work


def _key(case: Case, *, layout: Layout, built: Form, settings: list[object]) -> str:
    """Return the key of a case; where its files go, which other cases may have a say in, is part of it."""
    places = [place.as_posix() for place in _places(case, layout.modalities, built=built)]
    return case.content_key(layout.modalities, settings=[*settings, layout.labels, case.split, places])


def _places(case: Case, modalities: Sequence[Modality], *, built: Form) -> list[Path]:
    """Return every file that a conversion of the case may leave, below the new folder."""
    places = [*(built.image_file(case, name) for name in modalities), built.label_file(case), built.brain_file(case)]
    return [place for place in places if place is not None]


def _convert_case(case: Case, *, layout: Layout, built: Form, origin: Origin, out: Path, resample: bool) -> list[Path]:
    """Read and judge all images of a case before the first is written."""
    missing = [name for name in layout.modalities if name not in case.images]
    if built.shares_grid and missing:
        raise LayoutError(
            f"the modalities {', '.join(layout.modalities)}",
            found=f"no {', '.join(missing)}",
            where=f"case {case.id}",
            next_step="take the case out, or leave the modality out of the dataset",
        )
    pieces = _read_pieces(case, layout, built=built, origin=origin)
    working = pieces[0].image.grid.canonical()
    targets = [_target(piece, working, built=built, resample=resample) for piece in pieces]
    for piece, target in zip(pieces, targets, strict=True):
        array = to_working(piece.image.array, piece.image.grid, working=target, order=0 if piece.is_mask else 1)
        write_image(out / piece.place, _compact(array), grid=target, space_code=piece.image.space_code)
    return [out / piece.place for piece in pieces]


def _read_pieces(case: Case, layout: Layout, *, built: Form, origin: Origin) -> list[_Piece]:
    """Return the images of a case, its mask, and that of its brain where there is one and the form has a place."""
    pieces = [
        _Piece(place=built.image_file(case, name), source=case.images[name], image=read_scan(case, name), is_mask=False)
        for name in layout.modalities
        if name in case.images
    ]
    if case.label is not None:
        label = _read_label(case, layout.labels, origin.numbering)
        pieces.append(_Piece(place=built.label_file(case), source=case.label, image=label, is_mask=True))
    place = built.brain_file(case)
    if case.brain_mask is not None and place is not None:
        pieces.append(_Piece(place=place, source=case.brain_mask, image=read_brain_mask(case), is_mask=True))
    return pieces


def _read_label(case: Case, labels: Labels, numbering: Numbering) -> Image:
    assert case.label is not None, "the case has a mask"
    label = read_mask(case, labels)
    labels.check(label.array, where=case.label)
    return replace(label, array=labels.renumbered(label.array, to=numbering.labels))


def _target(piece: _Piece, working: Grid, *, built: Form, resample: bool) -> Grid:
    """Return the grid to write on: the image's own, or that of the case's first where all must share it."""
    own = piece.image.grid.canonical()
    if resample or not built.shares_grid:
        return working if resample else own
    advice = "register it, or let it be resampled: --resample"
    working.check_same(own, mine=Path("the first modality"), others=piece.source, next_step=advice)
    return working


def _compact(array: Num[np.ndarray, "x y z"]) -> Num[np.ndarray, "x y z"]:
    """Return whole numbers as integers, so that the file stays as small as its source."""
    limits = np.iinfo(np.int16)
    is_small = limits.min <= array.min(initial=0) and array.max(initial=0) <= limits.max
    return array.astype(np.int16) if is_small and np.array_equal(array, np.rint(array)) else array


def _describe(cases: Sequence[Case], *, built: Form, origin: Origin, out: Path) -> list[Path]:
    """Write the descriptions and read the new folder back: it must have all cases and nothing else."""
    if not cases:
        return []
    texts = built.descriptions(cases, origin)
    for name, text in texts.items():
        write_text_atomically(out / name, text)
    _, read = open_layout(f"{built.layout}:{out}")
    found = list(read.cases())
    labelled = sum(case.label is not None for case in cases)
    if (len(found), sum(case.label is not None for case in found)) != (len(cases), labelled):
        raise StorageError(
            f"{len(cases)} cases, {labelled} with masks, when the new folder is read back",
            found=f"{len(found)} cases",
            where=out,
            next_step="empty the folder and convert again",
        )
    return [out / name for name in texts]
