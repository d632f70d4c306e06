"""Tell how unlike the two sides of heads are, with or without a pre-trained encoder."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from pydantic import BaseModel

import lesionlab.networks
import lesionlab.pretext  # noqa: F401  # these two register what a plan may name
from lesionlab.core.case import Case, Modality, Split
from lesionlab.core.errors import LayoutError, OptionError, StorageError
from lesionlab.core.folder_lock import lock_folder
from lesionlab.core.json_files import JsonFile
from lesionlab.core.registry import nearest_name
from lesionlab.core.split_rule import select_split
from lesionlab.core.storage import write_bytes_atomically, write_text_atomically
from lesionlab.engine.asymmetry import measure_asymmetry
from lesionlab.engine.case_loop import work_through_cases
from lesionlab.engine.embedder import Embedder
from lesionlab.engine.finished_work import FinishedWork
from lesionlab.engine.images import write_image
from lesionlab.layouts.opening import open_layout
from lesionlab.pages.asymmetry_picture import draw_asymmetry
from lesionlab.workflows.modality_use import match_modalities, report_use

TABLE_FILE = "symmetry.csv"
VECTORS_FILE = "vectors.npz"
RECORD_FILE = "embeddings.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """What an embedding left behind.

    Attributes:
        files: Table, vectors where there is an encoder, and of each case, finished before or now, map, picture and
            numbers.
        scores: Case id -> how unlike its sides are in the map; see `lesionlab.engine.asymmetry.Asymmetry`.
        similarities: Case id -> how alike they are to the encoder, -1 to 1; empty without one.
        failures: Case id -> why it has none.
    """

    files: tuple[Path, ...]
    scores: dict[str, float]
    similarities: dict[str, float]
    failures: dict[str, str]


def embed(
    data: str,
    out: Path,
    *,
    checkpoint: Path | None = None,
    modality: Modality | None = None,
    split: Split | None = None,
) -> Embedded:
    """Write an asymmetry map and a picture for every case, a table of scores, and vectors of an encoder.

    A case that fails does not stop the others. Finished cases are skipped when neither encoder, modality nor scans have
    changed.

    Args:
        data: LAYOUT:FOLDER.
        out: Gets ``<case>_asymmetry.nii.gz`` on the scan's own grid, ``<case>_asymmetry.png``, the same case's numbers
            as ``<case>_asymmetry.json``, ``symmetry.csv`` of all cases and, with a checkpoint, ``vectors.npz``
            (``case``, ``own`` and ``mirrored``).
        checkpoint: Folder that `pretrain` wrote; None writes no vectors and no similarity.
        modality: Of the maps; the layout's first when None.
        split: Only the cases of this part; None takes all.

    Raises:
        LesionlabError: The folder, the modality or the checkpoint cannot be used at all.
    """
    embedder = None if checkpoint is None else Embedder(checkpoint)
    encoded = embedder.modalities if embedder else ()
    layout = match_modalities(open_layout(data)[1], encoded)
    cases = select_split(layout.cases(), split, where=data)
    chosen = modality or _first_modality(cases, layout.modalities)
    _check_modality(chosen, cases)
    report_use(cases, tuple(dict.fromkeys([chosen, *encoded])))
    with lock_folder(out):
        failures = work_through_cases(
            cases,
            what="embedding",
            record=_Record(out / RECORD_FILE),
            key=partial(_key, modality=chosen, embedder=embedder),
            work=partial(_embed_case, modality=chosen, embedder=embedder, out=out),
            files_of=partial(_files_of, out=out),
        )
        done = [case for case in cases if case.id not in failures]
        numbers = {case.id: _NUMBERS.read(_numbers_file(case.id, out)) for case in done}
        tables = [_write_table(out, done, numbers), *_write_vectors(out, numbers)]
        return Embedded(
            files=(*tables, *(file for case in done for file in _files_of(case, out=out))),
            scores={name: one.asymmetry for name, one in numbers.items()},
            similarities={name: one.encoder.similarity for name, one in numbers.items() if one.encoder is not None},
            failures=failures,
        )


class _Encoded(BaseModel):
    """What the encoder says about one case; see `lesionlab.engine.embedder.Embedding`."""

    similarity: float
    own: tuple[float, ...]
    mirrored: tuple[float, ...]


class _Numbers(BaseModel):
    """What is found out about one case, as its JSON file keeps it; `encoder` is null without one."""

    asymmetry: float
    encoder: _Encoded | None


_NUMBERS = JsonFile(
    schema=_Numbers,
    error=StorageError,
    wanted="the numbers of an embedded case",
    next_step="nothing; the case is done again",
)


class _Record(FinishedWork):
    """A case whose numbers do not read is not done."""

    def is_done(self, case_id: str, *, key: str) -> bool:
        """Return whether the case was finished from the same input, and its files are there and read."""
        numbers = _numbers_file(case_id, self.path.parent)
        return super().is_done(case_id, key=key) and _NUMBERS.read_if_sound(numbers) is not None


def _files_of(case: Case, *, out: Path) -> tuple[Path, Path, Path]:
    """Return where map, picture and numbers of a case lie."""
    volume, picture = (out / f"{case.id}_asymmetry{ending}" for ending in (".nii.gz", ".png"))
    return volume, picture, _numbers_file(case.id, out)


def _numbers_file(case_id: str, out: Path) -> Path:
    return out / f"{case_id}_asymmetry.json"


def _key(case: Case, *, modality: Modality, embedder: Embedder | None) -> str:
    encoded = embedder.modalities if embedder else ()
    settings = [modality, embedder.key if embedder else None]
    return case.content_key([modality, *encoded], settings=settings, with_reference=False)


def _embed_case(case: Case, *, modality: Modality, embedder: Embedder | None, out: Path) -> tuple[Path, ...]:
    """Write map, picture and numbers of one case."""
    encoder = None
    if embedder is not None:
        found = embedder.embed(case)
        own, mirrored = (tuple(part.tolist()) for part in (found.own, found.mirrored))
        encoder = _Encoded(similarity=found.similarity, own=own, mirrored=mirrored)
    numbers = _Numbers(asymmetry=_write_map(case, modality, out), encoder=encoder)
    write_text_atomically(_numbers_file(case.id, out), numbers.model_dump_json(indent=1))
    return _files_of(case, out=out)


def _first_modality(cases: Sequence[Case], modalities: Sequence[Modality]) -> Modality:
    return modalities[0] if modalities else next(iter(cases[0].images))


def _check_modality(modality: Modality, cases: Sequence[Case]) -> None:
    known = list(dict.fromkeys(name for case in cases for name in case.images))
    if modality not in known:
        raise OptionError(
            "a modality of the dataset",
            found=repr(modality),
            where="--modality",
            next_step=nearest_name(modality, known),
        )


def _write_map(case: Case, modality: Modality, out: Path) -> float:
    """Write map and picture of one case; return its score."""
    if modality not in case.images:
        raise LayoutError(
            f"the modality {modality}",
            found=", ".join(case.images),
            where=f"case {case.id}",
            next_step="choose another with --modality",
        )
    found = measure_asymmetry(case, modality)
    volume, picture, _ = _files_of(case, out=out)
    write_image(volume, found.on_scan, grid=found.scan, space_code=found.space_code)
    write_bytes_atomically(picture, draw_asymmetry(found.upright, found.upright_map, spacing_mm=found.spacing_mm))
    return found.score


def _write_table(out: Path, cases: Sequence[Case], numbers: Mapping[str, _Numbers]) -> Path:
    has_encoder = any(one.encoder is not None for one in numbers.values())
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["case", "group", "site", "category", "asymmetry", *(["similarity"] if has_encoder else [])])
    for case in cases:
        one = numbers[case.id]
        similarity = [] if one.encoder is None else [repr(one.encoder.similarity)]
        writer.writerow([case.id, case.group, case.site, case.category or "", repr(one.asymmetry), *similarity])
    write_text_atomically(out / TABLE_FILE, stream.getvalue())
    return out / TABLE_FILE


def _write_vectors(out: Path, numbers: Mapping[str, _Numbers]) -> list[Path]:
    """Write the vectors of all cases into one file, if there are any; return what was written."""
    encoded = {name: one.encoder for name, one in numbers.items() if one.encoder is not None}
    if not encoded:
        return []
    buffer = io.BytesIO()
    np.savez(
        buffer,
        case=np.array(list(encoded)),
        own=np.array([one.own for one in encoded.values()], dtype=np.float32),
        mirrored=np.array([one.mirrored for one in encoded.values()], dtype=np.float32),
    )
    write_bytes_atomically(out / VECTORS_FILE, buffer.getvalue())
    return [out / VECTORS_FILE]
