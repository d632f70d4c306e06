"""What became of each lesion between the visits of a patient: tables and a page."""

import csv
import io
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

from lesionlab.core.case import Case, Split
from lesionlab.core.errors import LayoutError, OptionError
from lesionlab.core.folder_lock import lock_folder
from lesionlab.core.labels import Labels
from lesionlab.core.natural_order import natural_key
from lesionlab.core.split_rule import name_cases, select_split
from lesionlab.core.storage import write_text_atomically
from lesionlab.engine.case_loop import work_on_every_case
from lesionlab.metrics.longitudinal import CHANGES, ChangeLimits, FollowedLesion, follow_lesions
from lesionlab.pages.longitudinal_page import VisitPair, render_longitudinal
from lesionlab.workflows.case_masks import on_same_axes, read_case_masks
from lesionlab.workflows.division import open_divided
from lesionlab.workflows.made_by import learned_line, makers_of_masks
from lesionlab.workflows.prediction_files import match_predictions
from lesionlab.workflows.sealed import count_evaluation

PAGE_FILE = "longitudinal.html"
LESIONS_FILE = "followed_lesions.csv"
PAIRS_FILE = "visit_pairs.csv"
EMPTY_HEADER = (
    "patient",
    "earlier",
    "later",
    "side",
    "region",
    "lesion",
    *(field.name for field in fields(FollowedLesion)),
)
SOFTWARE = ("lesionlab", "numpy", "scipy", "connected-components-3d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Longitudinal:
    """What became of the lesions, and the files that say so.

    Attributes:
        pairs: One per two visits of a patient, region and side.
        files: Every file written, the page first.
    """

    pairs: tuple[VisitPair, ...]
    files: tuple[Path, ...]


def evaluate_longitudinal(
    predictions: Path,
    data: str,
    out: Path,
    *,
    limits: ChangeLimits | None = None,
    split: Split | None = None,
    split_file: Path | None = None,
    title: str = "Change between visits",
) -> Longitudinal:
    """Follow the predicted lesions, and those of the references, of every patient from visit to visit.

    The visits of a patient are the cases of one group by date or number of the visit where the dataset says them, else
    by id, in natural order (2 before 10); each is compared with the next.
    Voxels that one of the two references ignores take no part.

    Args:
        predictions: Folder of the masks.
        data: LAYOUT:FOLDER of the references.
        out: Folder for ``longitudinal.html``, ``followed_lesions.csv`` and ``visit_pairs.csv``.
        limits: From when on a change counts; None takes the defaults of `ChangeLimits`.
        split: Only the cases of this part; None takes all.
        split_file: A table that says which case is in which part.
        title: Heading of the page.

    Raises:
        OptionError: A limit is negative or no number.
        LayoutError: No patient has two visits, or a case lacks a prediction or a reference.
        CasesError: Two visits of a patient lie on different grids, or a prediction on another than its reference (axes
            may run another way); every such visit is named.
        FolderInUseError: Another command is writing into `out`.
    """
    chosen = _checked(limits or ChangeLimits())
    with lock_folder(out):
        _, layout = open_divided(data, split_file)
        visits = _visits(select_split(layout.cases(), split, where=data), where=data)
        cases = {case.id: case for visit in visits for case in visit}
        masks = match_predictions(predictions, list(cases.values()))
        earlier_of = {later.id: earlier for earlier, later in visits}
        followed = work_on_every_case(
            [later for _, later in visits],
            what="following lesions",
            work=lambda later: _follow(earlier_of[later.id], later, masks=masks, labels=layout.labels, limits=chosen),
        )
        pairs = [pair for of_visits in followed for pair in of_visits]
        provenance = {name: version(name) for name in SOFTWARE} | {"Python": platform.python_version()}
        makers, scored = makers_of_masks(masks), list(cases.values())
        provenance |= learned_line(makers, scored)
        provenance |= count_evaluation(predictions, scored, out=out, split_file=split_file, makers=makers)
        texts = {
            PAGE_FILE: render_longitudinal(pairs, limits=chosen, provenance=provenance, title=title),
            LESIONS_FILE: _table(line for pair in pairs for line in _lesion_lines(pair)),
            PAIRS_FILE: _table(_pair_line(pair) for pair in pairs),
        }
        for name, text in texts.items():
            write_text_atomically(out / name, text)
        return Longitudinal(pairs=tuple(pairs), files=tuple(out / name for name in texts))


def _checked(limits: ChangeLimits) -> ChangeLimits:
    if not (limits.percent >= 0 and limits.mm3 >= 0):
        raise OptionError(
            "limits of change from 0 on",
            found=f"{limits.percent:g} % and {limits.mm3:g} mm3",
            where="the limits of change",
            next_step="choose, for instance, 25 % and 3 mm3",
        )
    return limits


def _visits(cases: Sequence[Case], *, where: str) -> list[tuple[Case, Case]]:
    """Every two consecutive visits of a patient."""
    by_patient: dict[str, list[Case]] = {}
    for case in sorted(cases, key=lambda case: (natural_key(case.visit), natural_key(case.id))):
        by_patient.setdefault(case.group, []).append(case)
    for patient, own in by_patient.items():
        undated = [case.id for case in own if not case.visit]
        if 0 < len(undated) < len(own):
            raise LayoutError(
                "a date of every visit of a patient, or of none",
                found=f"none of {name_cases(undated)}",
                where=f"patient {patient} in {where}",
                next_step="fill in the dates, or take them all out: then visits follow each other by their ids",
            )
    visits = [pair for own in by_patient.values() for pair in pairwise(own)]
    if not visits:
        raise LayoutError(
            "a patient with two visits",
            found=f"{len(cases)} case(s) of {len(by_patient)} patient(s)",
            where=where,
            next_step="use a layout that tells patients from visits, such as bids or table",
        )
    return visits


def _follow(
    earlier: Case, later: Case, *, masks: Mapping[str, Path], labels: Labels, limits: ChangeLimits
) -> list[VisitPair]:
    assert earlier.label is not None
    assert later.label is not None
    then = read_case_masks(earlier, masks[earlier.id], labels)
    step = "register the visits to one grid, then outline them there"
    now = on_same_axes(
        read_case_masks(later, masks[later.id], labels), then.grid, mine=earlier.label, others=later.label, advice=step
    )
    counted = ~(labels.ignored_of(then.reference) | labels.ignored_of(now.reference))
    pairs = []
    for side, visits in (
        ("predicted", (then.predicted, now.predicted)),
        ("reference", (then.reference, now.reference)),
    ):
        regions = zip(labels.names, *(labels.regions_of(label) for label in visits), strict=True)
        for region, before, after in regions:
            lesions = follow_lesions(before & counted, after & counted, spacing_mm=then.grid.spacing_mm, limits=limits)
            pair = VisitPair(
                patient=earlier.group, earlier=earlier.id, later=later.id, side=side, region=region, lesions=lesions
            )
            pairs.append(pair)
    return pairs


def _lesion_lines(pair: VisitPair) -> list[dict[str, object]]:
    return [_words(pair) | {"lesion": number} | asdict(lesion) for number, lesion in enumerate(pair.lesions, start=1)]


def _pair_line(pair: VisitPair) -> dict[str, object]:
    counts = {f"{change}_lesions": pair.count(change) for change in CHANGES}
    volumes = {f"{change}_change_ml": pair.change_ml(change) for change in CHANGES}
    return _words(pair) | {"earlier_ml": pair.earlier_ml, "later_ml": pair.later_ml} | counts | volumes


def _words(pair: VisitPair) -> dict[str, object]:
    return {name: getattr(pair, name) for name in ("patient", "earlier", "later", "side", "region")}


def _table(lines: Iterable[dict[str, object]]) -> str:
    rows = list(lines)
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, list(rows[0]) if rows else EMPTY_HEADER, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()
