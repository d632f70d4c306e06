"""Tell how unlike the two sides of heads are, with or without a pre-trained encoder."""

import csv
import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import lesionlab.networks
import lesionlab.pretext  # noqa: F401  # these two register what a plan may name
from lesionlab.core.case import Case, Split
from lesionlab.core.errors import LayoutError, LesionlabError, OptionError
from lesionlab.core.progress import track
from lesionlab.core.registry import nearest_name
from lesionlab.core.storage import write_bytes_atomically, write_text_atomically
from lesionlab.engine.asymmetry import measure_asymmetry
from lesionlab.engine.embedder import Embedder, Embedding
from lesionlab.engine.images import write_image
from lesionlab.layouts.opening import open_layout
from lesionlab.pages.asymmetry_picture import draw_asymmetry

logger = logging.getLogger(__name__)

TABLE_FILE = "symmetry.csv"
VECTORS_FILE = "vectors.npz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """What an embedding left behind.

    Attributes:
        files: Table, vectors where there is an encoder, maps and pictures.
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
    modality: str | None = None,
    split: Split | None = None,
) -> Embedded:
    """Write an asymmetry map and a picture for every case, a table of scores, and vectors of an encoder.

    A case that fails does not stop the others.

    Args:
        data: LAYOUT:FOLDER.
        out: Gets ``<case>_asymmetry.nii.gz`` on the scan's own grid, ``<case>_asymmetry.png``, ``symmetry.csv`` and,
            with a checkpoint, ``vectors.npz`` (``case``, ``own`` and ``mirrored``).
        checkpoint: Folder that `pretrain` wrote; None writes no vectors and no similarity.
        modality: Of the maps; the layout's first when None.
        split: Only the cases of this part; None takes all.

    Raises:
        LesionlabError: The folder, the modality or the checkpoint cannot be used at all.
    """
    _, layout = open_layout(data)
    cases = [case for case in layout.cases() if split is None or case.split == split]
    if not cases:
        raise LayoutError(
            f"cases of split {split}", found="none", where=data, next_step="choose another split, or leave it out"
        )
    chosen = modality or _first_modality(cases, layout.modalities)
    _check_modality(chosen, cases)
    embedder = None if checkpoint is None else Embedder(checkpoint)
    files: list[Path] = []
    scores: dict[str, float] = {}
    embeddings: dict[str, Embedding] = {}
    failures: dict[str, str] = {}
    for case in track(cases, what="embedding", total=len(cases)):
        try:
            if embedder is not None:
                embeddings[case.id] = embedder.embed(case)
            scores[case.id], written = _write_map(case, chosen, out)
            files += written
        except LesionlabError as error:
            failures[case.id] = str(error)
            embeddings.pop(case.id, None)
            logger.error("case %s: %s", case.id, error)
    kept = [case for case in cases if case.id in scores]
    similarities = {name: one.similarity for name, one in embeddings.items()}
    tables = [_write_table(out, kept, scores=scores, similarities=similarities)]
    if embeddings:
        tables.append(_write_vectors(out, embeddings))
    return Embedded(files=(*tables, *files), scores=scores, similarities=similarities, failures=failures)


def _first_modality(cases: Sequence[Case], modalities: Sequence[str]) -> str:
    return modalities[0] if modalities else next(iter(cases[0].images))


def _check_modality(modality: str, cases: Sequence[Case]) -> None:
    known = list(dict.fromkeys(name for case in cases for name in case.images))
    if modality not in known:
        raise OptionError(
            "a modality of the dataset",
            found=repr(modality),
            where="--modality",
            next_step=nearest_name(modality, known),
        )


def _write_map(case: Case, modality: str, out: Path) -> tuple[float, tuple[Path, Path]]:
    """Write map and picture of one case; return its score and the two files."""
    if modality not in case.images:
        raise LayoutError(
            f"the modality {modality}",
            found=", ".join(case.images),
            where=f"case {case.id}",
            next_step="choose another with --modality",
        )
    found = measure_asymmetry(case, modality)
    volume, picture = out / f"{case.id}_asymmetry.nii.gz", out / f"{case.id}_asymmetry.png"
    write_image(volume, found.on_scan, grid=found.scan, space_code=found.space_code)
    write_bytes_atomically(picture, draw_asymmetry(found.upright, found.upright_map, spacing_mm=found.spacing_mm))
    return found.score, (volume, picture)


def _write_table(
    out: Path, cases: Sequence[Case], *, scores: Mapping[str, float], similarities: Mapping[str, float]
) -> Path:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["case", "group", "site", "category", "asymmetry", *(["similarity"] if similarities else [])])
    for case in cases:
        similarity = [repr(similarities[case.id])] if similarities else []
        writer.writerow([case.id, case.group, case.site, case.category or "", repr(scores[case.id]), *similarity])
    write_text_atomically(out / TABLE_FILE, stream.getvalue())
    return out / TABLE_FILE


def _write_vectors(out: Path, embeddings: Mapping[str, Embedding]) -> Path:
    buffer = io.BytesIO()
    np.savez(
        buffer,
        case=np.array(list(embeddings)),
        own=np.stack([one.own for one in embeddings.values()]),
        mirrored=np.stack([one.mirrored for one in embeddings.values()]),
    )
    write_bytes_atomically(out / VECTORS_FILE, buffer.getvalue())
    return out / VECTORS_FILE
