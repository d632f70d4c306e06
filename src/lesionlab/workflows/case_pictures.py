"""Pictures of failures, of the worst, the median and the best case of an evaluation."""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import nibabel
import numpy as np

from lesionlab.core.case import Case, DataKind
from lesionlab.core.grid import TOLERANCE_MM, Grid
from lesionlab.core.labels import Labels
from lesionlab.core.report import Report, Row
from lesionlab.engine.case_files import read_scan
from lesionlab.engine.processes import Each
from lesionlab.pages.offline_page import number
from lesionlab.pages.overlay import draw_overlay, draw_picture, draw_planes
from lesionlab.pages.report_page import Picture
from lesionlab.transforms.geometry import reorient
from lesionlab.workflows.case_masks import read_case_masks

FAILURES = {
    "the prediction is empty": "Failure: the prediction is empty",
    "the reference is empty": "Nothing in the reference, something in the prediction",
}
"""Why a case with one empty mask has its score, and what stands above its picture."""
MOST = 3
RGB = ("red", "green", "blue")
ORDER = ("Worst case", "Second worst case", "Third worst case", "Median case", "Best case")


def draw_cases(
    report: Report, cases: Sequence[Case], *, masks: Mapping[str, Path], labels: Labels, each: Each
) -> Iterator[Picture]:
    """Draw failures, then the worst, the median and the best case by the first score (protocol, region and metric).

    A failure is a case with one empty mask; at most three are drawn. They and the worst cases are cut in three planes.
    No case is drawn twice, nor one without a score that is no failure.

    Args:
        report: The scores.
        cases: Where scans and references lie.
        masks: Case id -> predicted mask.
        labels: What stored values mean; ignored ones are outlined apart.
        each: Calls a function for every case.
    """
    by_id = {case.id: case for case in cases}
    chosen = _choose(report)
    drawn = [by_id[row.case] for _, row in chosen]
    return each(partial(_draw, labels=labels, kind=report.kind), chosen, drawn, [masks[case.id] for case in drawn])


def _choose(report: Report) -> list[tuple[str, Row]]:
    first = report.rows[0]
    rows = [row for row in report.rows if _kind(row) == _kind(first)]
    failures = [row for row in rows if row.reason in FAILURES][:MOST]
    ranked = sorted(
        (row for row in rows if not math.isnan(row.value) and row not in failures),
        key=lambda row: row.value,
        reverse=not first.is_higher_better,
    )
    chosen = [(FAILURES[row.reason], row) for row in failures]
    if ranked:
        places = {"Best case": ranked[-1], "Worst case": ranked[0], "Median case": ranked[(len(ranked) - 1) // 2]}
        worst = dict(zip(("Second worst case", "Third worst case"), ranked[1:], strict=False))
        named: dict[str, Row] = {}
        for label, row in (places | worst).items():
            if row not in named.values():
                named[label] = row
        chosen += [(label, named[label]) for label in ORDER if label in named]
    return chosen


def _kind(row: Row) -> tuple[str, str, str]:
    return row.protocol, row.region, row.metric


def _draw(chosen: tuple[str, Row], case: Case, mask: Path, *, labels: Labels, kind: DataKind) -> Picture:
    label, row = chosen
    masks = read_case_masks(case, mask, labels)
    modality, scan = _colours(case, masks.grid) if kind == "picture" else _scan_on_grid(case, masks.grid)
    orientation = masks.grid.to_canonical()
    image, predicted, reference = (
        nibabel.orientations.apply_orientation(array, orientation) for array in (scan, masks.predicted, masks.reference)
    )
    draw = draw_overlay if label in ("Median case", "Best case") else draw_planes
    if kind == "picture":
        draw = draw_picture
    png = draw(
        image,
        np.logical_or.reduce(labels.regions_of(predicted)),
        reference=np.logical_or.reduce(labels.regions_of(reference)),
        ignored=labels.ignored_of(reference),
        spacing_mm=masks.grid.canonical().spacing_mm,
    )
    score = "undefined" if math.isnan(row.value) else number(row.value, row.unit)
    return Picture(
        label=label,
        case=case.id,
        caption=f"({row.metric} {score}, {row.protocol}) on {modality}",
        png=png,
    )


def _colours(case: Case, grid: Grid) -> tuple[str, np.ndarray]:
    """Return a picture with three colours, 0 to 1, as a fourth axis; as `_scan_on_grid` where it lacks one."""
    if not set(RGB) <= set(case.images):
        return _scan_on_grid(case, grid)
    channels = [reorient(scan.array, source=scan.grid, target=grid) for scan in (read_scan(case, name) for name in RGB)]
    colours = np.stack(channels, axis=-1)
    return "the picture", colours / max(1.0, float(colours.max()))


def _scan_on_grid(case: Case, grid: Grid) -> tuple[str, np.ndarray]:
    """Return name and voxels of the first modality on the reference's grid, else an empty picture that says so."""
    for modality in case.images:
        scan = read_scan(case, modality)
        if scan.grid.canonical().distance_mm(grid.canonical()) <= TOLERANCE_MM:
            return modality, reorient(scan.array, source=scan.grid, target=grid)
    return "nothing: no scan lies on the grid of the reference", np.zeros(grid.shape, np.float32)
