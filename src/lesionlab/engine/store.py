"""Preprocessed cases on disk, memory-mapped and shared by all workers."""

import io
import json
import logging
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Integer, Shaped

from lesionlab.core.case import Case
from lesionlab.core.errors import LabelError
from lesionlab.core.grid import Box, Grid
from lesionlab.core.labels import Labels
from lesionlab.core.progress import Tracker
from lesionlab.core.recipe import Preprocessing
from lesionlab.core.storage import write_bytes_atomically, write_text_atomically
from lesionlab.engine.case_loop import Failure, attempt, results_of
from lesionlab.engine.cases_at_once import how_many_at_once, work_through
from lesionlab.engine.preprocess import Prepared, prepare
from lesionlab.transforms.geometry import Geometry

logger = logging.getLogger(__name__)

_FORMAT = 4

_BYTES_PER_SCAN_VOXEL, _BYTES_PER_KEPT_VOXEL = 16, 16
"""What preparing takes at its peak for each voxel, beside the modalities themselves; measured and rounded up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCase:
    """One preprocessed case; its arrays are opened, not loaded, at each call.

    Attributes:
        id: Of the case.
        group: The patient.
        site: Where it was acquired.
        folder: Where image.npy and label.npy lie, in Fortran order: an axial slice is one run of bytes.
        geometry: The way back to the scan's own grid.
        background: Value of air in each modality, for padding.
        space_code: NIfTI code of the scan's space.
        category: What the whole case shows, or None where nobody said.
    """

    id: str
    group: str
    site: str
    folder: Path
    geometry: Geometry
    background: tuple[float, ...]
    space_code: int
    category: str | None = None

    def image(self) -> Float32[np.ndarray, "modality x y z"]:
        """Return the memory-mapped, normalised image."""
        return _open(self.folder / "image.npy")

    def label(self) -> Integer[np.ndarray, "x y z"]:
        """Return the memory-mapped label values.

        Raises:
            LabelError: The case has no mask.
        """
        path = self.folder / "label.npy"
        if not path.exists():
            raise LabelError(
                "a reference mask", found="none", where=f"case {self.id}", next_step="add its mask or leave it out"
            )
        return _open(path)


def store_cases(
    cases: Sequence[Case],
    folder: Path,
    *,
    modalities: Sequence[str],
    settings: Preprocessing,
    labels: Labels,
    at_once: int | None = None,
) -> tuple[StoredCase, ...]:
    """Preprocess what is not yet in the store, and open all cases.

    Each case lies under a key made from the bytes of its files and the settings, so that changed data or settings
    are prepared again and finished work never is, unless it is damaged. Several cases are prepared at once where there
    are cores and memory for them; the store is the same. The largest comes first, alone, and tells what a case takes.
    A case that cannot be prepared does not stop the others, so that all of these are known at once.

    Args:
        cases: What to prepare.
        folder: The store; it may be shared by any number of trainings.
        modalities: Which, in the order of the network's input.
        settings: From the plan or recipe.
        labels: Which stored values masks may hold.
        at_once: How many cases may be prepared at the same time; None decides by cores and free memory.

    Raises:
        CasesError: Some cases cannot be prepared; each is named with its reason. The others are in the store.
        StorageError: The store could not be written; cases already in it stay.
    """
    if not cases:
        return ()
    what = "preparing cases"
    store = partial(_store_case, folder=folder, modalities=modalities, settings=settings, labels=labels)
    work = partial(attempt, store)
    largest_first = sorted(cases, key=_bytes_on_disk, reverse=True)
    outcomes: dict[str, StoredCase | Failure] = {}
    with Tracker(what, total=len(cases)) as tracker:
        for number, case in enumerate(largest_first, start=1):
            outcomes[case.id] = outcome = work(case)
            tracker.advance()
            if isinstance(outcome, StoredCase):
                workers = at_once or how_many_at_once(_bytes_to_prepare(outcome, modalities=len(modalities)))
                others = largest_first[number:]
                together = work_through(others, work, at_once=workers, tracker=tracker)
                outcomes |= zip((other.id for other in others), together, strict=True)
                break
    return results_of([outcomes[case.id] for case in cases], what=what)


def _bytes_on_disk(case: Case) -> int:
    files = (file for path in case.files for file in (path.iterdir() if path.is_dir() else (path,)))
    return sum(file.stat().st_size for file in files if file.is_file())


def _bytes_to_prepare(stored: StoredCase, *, modalities: int) -> int:
    """Return how much memory preparing a case of this size takes at its peak."""
    scan, kept = (math.prod(shape) for shape in (stored.geometry.scan.shape, stored.geometry.box.shape))
    return scan * (4 * modalities + _BYTES_PER_SCAN_VOXEL) + kept * (8 * modalities + _BYTES_PER_KEPT_VOXEL)


def _store_case(
    case: Case, *, folder: Path, modalities: Sequence[str], settings: Preprocessing, labels: Labels
) -> StoredCase:
    key = case.content_key(modalities, settings=[_FORMAT, settings.model_dump(), labels])
    target = folder / f"{case.id}-{key}"
    stored = _read(case, target, modalities=len(modalities))
    if stored is None:
        _write(prepare(case, modalities, settings=settings, labels=labels), target)
        stored = _stored(case, target)
    return stored


def _read(case: Case, target: Path, *, modalities: int) -> StoredCase | None:
    """Return a case that is in the store; None where it is not, or, with a line in the log, where it is damaged."""
    if not (target / "case.json").exists():
        return None
    try:
        stored = _stored(case, target)
        shape, image = stored.geometry.box.shape, stored.image()
        is_whole = image.shape == (modalities, *shape) and image.dtype == np.float32
        if is_whole and (case.label is None or stored.label().shape == shape):
            return stored
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, RecursionError, LabelError) as error:
        logger.debug("%s does not read", target, exc_info=error)
    logger.warning("the prepared case %s is damaged and is prepared again", target)
    return None


def _stored(case: Case, target: Path) -> StoredCase:
    content = json.loads((target / "case.json").read_text(encoding="utf-8"))
    return StoredCase(
        id=case.id,
        group=case.group,
        site=case.site,
        folder=target,
        geometry=_parse_geometry(content["geometry"]),
        background=tuple(content["background"]),
        space_code=content["space_code"],
        category=case.category,
    )


def _write(prepared: Prepared, target: Path) -> None:
    """Write the arrays first and case.json last: its presence says that the case is whole."""
    write_bytes_atomically(target / "image.npy", _npy(prepared.image))
    if prepared.label is not None:
        write_bytes_atomically(target / "label.npy", _npy(prepared.label))
    content = {
        "geometry": asdict(prepared.geometry),
        "background": prepared.background,
        "space_code": prepared.space_code,
    }
    write_text_atomically(target / "case.json", json.dumps(content))


def _npy(array: Shaped[np.ndarray, "..."]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.asfortranarray(array), allow_pickle=False)
    return buffer.getvalue()


def _parse_geometry(content: dict[str, Any]) -> Geometry:
    scan, working = (Grid.of(content[name]["shape"], np.array(content[name]["affine"])) for name in ("scan", "working"))
    box = Box(start=tuple(content["box"]["start"]), stop=tuple(content["box"]["stop"]))
    return Geometry(scan=scan, working=working, box=box)


def _open(path: Path) -> Shaped[np.ndarray, "..."]:
    opened: Shaped[np.ndarray, "..."] = np.load(os.fspath(path), mmap_mode="r", allow_pickle=False)
    return opened
