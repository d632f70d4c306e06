"""Preprocessed cases on disk, memory-mapped and shared by all workers."""

import hashlib
import io
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Shaped, UInt8

from lesionlab.core.case import Case
from lesionlab.core.errors import LabelError
from lesionlab.core.grid import Box, Grid
from lesionlab.core.labels import Labels
from lesionlab.core.progress import track
from lesionlab.core.recipe import Preprocessing
from lesionlab.core.storage import write_bytes_atomically, write_text_atomically
from lesionlab.engine.preprocess import Prepared, prepare
from lesionlab.transforms.geometry import Geometry

_FORMAT = 1
_CHUNK_BYTES = 2**22


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCase:
    """One preprocessed case; its arrays are opened, not loaded, at each call.

    Attributes:
        id: Of the case.
        group: The patient.
        site: Where it was acquired.
        folder: Where image.npy and label.npy lie, in Fortran order: an axial slice is one run of bytes.
        geometry: The way back to the scan's own grid.
        space_code: NIfTI code of the scan's space.
    """

    id: str
    group: str
    site: str
    folder: Path
    geometry: Geometry
    space_code: int

    def image(self) -> Float32[np.ndarray, "modality x y z"]:
        """Return the memory-mapped, normalised image."""
        return _open(self.folder / "image.npy")

    def label(self) -> UInt8[np.ndarray, "x y z"]:
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
    cases: Sequence[Case], folder: Path, *, modalities: Sequence[str], settings: Preprocessing, labels: Labels
) -> tuple[StoredCase, ...]:
    """Preprocess what is not yet in the store, and open all cases.

    Each case lies under a key made from the bytes of its files and the settings, so that changed data or settings
    are prepared again and finished work never is.

    Args:
        cases: What to prepare.
        folder: The store; it may be shared by any number of trainings.
        modalities: Which, in the order of the network's input.
        settings: From the plan or recipe.
        labels: Which stored values masks may hold.

    Raises:
        LayoutError, ImageError, GridError, LabelError: As `prepare`.
        StorageError: The store could not be written; cases already in it stay.
    """
    return tuple(
        _store_case(case, folder, modalities=modalities, settings=settings, labels=labels)
        for case in track(cases, what="preparing cases", total=len(cases))
    )


def _store_case(
    case: Case, folder: Path, *, modalities: Sequence[str], settings: Preprocessing, labels: Labels
) -> StoredCase:
    key = _content_key(case, modalities, settings=settings)
    target = folder / f"{case.id}-{key}"
    if not (target / "case.json").exists():
        _write(prepare(case, modalities, settings=settings, labels=labels), target)
    geometry, space_code = _read_geometry(target)
    return StoredCase(
        id=case.id, group=case.group, site=case.site, folder=target, geometry=geometry, space_code=space_code
    )


def _content_key(case: Case, modalities: Sequence[str], *, settings: Preprocessing) -> str:
    digest = hashlib.blake2b(digest_size=8)
    digest.update(json.dumps([_FORMAT, list(modalities), settings.model_dump()]).encode())
    paths = [case.images[name] for name in modalities if name in case.images]
    for path in [*paths, *([case.label] if case.label else [])]:
        if path.exists():  # a missing file is reported, with advice, when it is read
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    digest.update(chunk)
    return digest.hexdigest()


def _write(prepared: Prepared, target: Path) -> None:
    """Write the arrays first and case.json last: its presence says that the case is whole."""
    write_bytes_atomically(target / "image.npy", _npy(prepared.image))
    if prepared.label is not None:
        write_bytes_atomically(target / "label.npy", _npy(prepared.label))
    content = {"geometry": asdict(prepared.geometry), "space_code": prepared.space_code}
    write_text_atomically(target / "case.json", json.dumps(content))


def _npy(array: Shaped[np.ndarray, "..."]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.asfortranarray(array), allow_pickle=False)
    return buffer.getvalue()


def _read_geometry(target: Path) -> tuple[Geometry, int]:
    content = json.loads((target / "case.json").read_text(encoding="utf-8"))
    geometry = content["geometry"]
    box = Box(start=tuple(geometry["box"]["start"]), stop=tuple(geometry["box"]["stop"]))
    scan, working = (
        Grid.of(tuple(grid["shape"]), np.array(grid["affine"])) for grid in (geometry["scan"], geometry["working"])
    )
    return Geometry(scan=scan, working=working, box=box), int(content["space_code"])


def _open(path: Path) -> Shaped[np.ndarray, "..."]:
    opened: Shaped[np.ndarray, "..."] = np.load(os.fspath(path), mmap_mode="r", allow_pickle=False)
    return opened
