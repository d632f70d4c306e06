"""Which file is the predicted mask of which case, in every form in which predictions lie on disk."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from lesionlab.core.case import Case
from lesionlab.core.errors import LayoutError
from lesionlab.core.image_formats import PICTURE_ENDINGS, VOLUME_ENDINGS
from lesionlab.layouts.listed_files import listed_file
from lesionlab.layouts.tables import columns_of, read_table

NAMES = ("{case}_mask", "{case}", "{case}_pred", "{case}_seg")
"""As `predict` names them, as nnU-Net does, and two common habits."""
BIDS_SUFFIXES = ("_mask", "_dseg")
PAIRS_COLUMNS = ("case", "prediction")


def is_table_of_pairs(predictions: Path) -> bool:
    """Return whether this is a table with the columns "case" and "prediction"."""
    return predictions.is_file() and set(PAIRS_COLUMNS) <= set(columns_of(predictions))


def match_predictions(predictions: Path, cases: Sequence[Case]) -> dict[str, Path]:
    """Return the predicted mask of each case.

    Args:
        predictions: A folder with ``<case>_mask.nii.gz`` as predict leaves it, ``<case>.nii.gz`` as nnU-Net does, or
            files that end in ``_mask`` or ``_dseg`` below ``sub-`` folders as BIDS derivatives have them; or a table
            with the columns "case" and "prediction", its paths beginning at the file's own folder.
        cases: What was to be predicted, each with a reference.

    Raises:
        LayoutError: There is no case, some lack a prediction or a reference, or several files fit one case.
    """
    found = _read_pairs(predictions, cases) if is_table_of_pairs(predictions) else _find(predictions, cases)
    masks = {case.id: found[case.id] for case in cases if case.id in found and found[case.id].is_file()}
    if not cases:
        raise LayoutError(
            "cases to evaluate", found="no case", where=predictions, next_step="choose another split, or leave it out"
        )
    _check_there(
        [case.id for case in cases if case.label is None],
        of=len(cases),
        what="a reference mask",
        where="the dataset",
        next_step="add the references to the dataset, or evaluate only cases that have one (--split, --split-file)",
    )
    _check_there(
        [case.id for case in cases if case.id not in masks],
        of=len(cases),
        what="a predicted mask <case>_mask.nii.gz",
        where=predictions,
        next_step="predict the missing cases, or evaluate only those that have a prediction (--split, --split-file)",
    )
    return masks


def _check_there(absent: Sequence[str], *, of: int, what: str, where: str | Path, next_step: str) -> None:
    if absent:
        raise LayoutError(
            f"{what} for every case",
            found=f"none for {len(absent)} of {of}: {', '.join(absent[:20])}",
            where=where,
            next_step=next_step,
        )


def _read_pairs(table: Path, cases: Sequence[Case]) -> dict[str, Path]:
    listed = {row["case"]: row["prediction"] for row in read_table(table)}
    find = partial(listed_file, table.parent, what="a predicted mask", listed_in=table.name)
    return {case.id: find(listed[case.id], case_id=case.id) for case in cases if listed.get(case.id)}


def _find(folder: Path, cases: Sequence[Case]) -> dict[str, Path]:
    derivatives = _derivatives(folder)
    found = {}
    for case in cases:
        names = [name.format(case=case.id) + ending for name in NAMES for ending in (*VOLUME_ENDINGS, *PICTURE_ENDINGS)]
        direct = [path for path in (folder / name for name in names) if path.is_file()]
        fitting = direct[:1] or [path for path in derivatives if path.name.startswith(f"{case.id}_")]
        if len(fitting) > 1:
            raise LayoutError(
                f"one predicted mask of case {case.id}",
                found=", ".join(path.name for path in fitting[:4]),
                where=folder,
                next_step="leave one, or list cases and predictions in a CSV file",
            )
        if fitting:
            found[case.id] = fitting[0]
    return found


def _derivatives(folder: Path) -> list[Path]:
    """Return the masks of a folder of BIDS derivatives."""
    endings = tuple(suffix + ending for suffix in BIDS_SUFFIXES for ending in VOLUME_ENDINGS)
    return sorted(path for path in folder.glob("sub-*/**/*") if path.name.endswith(endings))
