"""Pictures of the best, the median and the worst case of an evaluation."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import nibabel
import numpy as np

from lesionlab.core.case import Case
from lesionlab.core.grid import TOLERANCE_MM
from lesionlab.core.labels import Labels
from lesionlab.core.report import Report, Row
from lesionlab.engine.case_files import read_mask, read_scan
from lesionlab.engine.images import Image, read_label
from lesionlab.pages.overlay import draw_overlay
from lesionlab.pages.report_page import Picture


def draw_cases(report: Report, cases: Sequence[Case], *, masks: Mapping[str, Path], labels: Labels) -> list[Picture]:
    """Draw the cases whose first score (first protocol, region and metric) is best, median and worst.

    No case is drawn twice, nor one whose first score is undefined.

    Args:
        report: The scores.
        cases: Where scans and references lie.
        masks: Case id -> predicted mask.
        labels: What stored values mean; ignored ones are outlined apart.
    """
    by_id = {case.id: case for case in cases}
    return [
        _draw(label, row, case=by_id[row.case], mask=masks[row.case], labels=labels)
        for label, row in _choose(report).items()
    ]


def _choose(report: Report) -> dict[str, Row]:
    first = report.rows[0]
    ranked = sorted(
        (row for row in report.rows if _kind(row) == _kind(first) and not math.isnan(row.value)),
        key=lambda row: row.value,
        reverse=bool(first.is_higher_better),
    )
    if not ranked:
        return {}
    places = {"Best case": ranked[0], "Worst case": ranked[-1], "Median case": ranked[len(ranked) // 2]}
    chosen: dict[str, Row] = {}
    for label, row in places.items():
        if row not in chosen.values():
            chosen[label] = row
    return {label: chosen[label] for label in ("Best case", "Median case", "Worst case") if label in chosen}


def _kind(row: Row) -> tuple[str, str, str]:
    return row.protocol, row.region, row.metric


def _draw(label: str, row: Row, *, case: Case, mask: Path, labels: Labels) -> Picture:
    reference, predicted = read_mask(case, labels), read_label(mask)
    modality, scan = _scan_on_grid(case, reference)
    orientation = reference.grid.to_canonical()
    image, outlined, label_map = (
        nibabel.orientations.apply_orientation(array, orientation)
        for array in (scan, predicted.array > 0, reference.array)
    )
    png = draw_overlay(
        image,
        outlined,
        reference=np.logical_or.reduce(labels.regions_of(label_map)),
        ignored=labels.ignored_of(label_map),
        spacing_mm=reference.grid.canonical().spacing_mm,
    )
    return Picture(
        label=label,
        case=case.id,
        caption=f"({row.metric} {row.value:.3f}, {row.protocol}) on {modality}",
        png=png,
    )


def _scan_on_grid(case: Case, reference: Image) -> tuple[str, np.ndarray]:
    """Return name and voxels of the first modality on the reference's grid, else an empty picture that says so."""
    for modality in case.images:
        scan = read_scan(case, modality)
        if scan.grid.distance_mm(reference.grid) <= TOLERANCE_MM:
            return modality, scan.array
    return "nothing: no scan lies on the grid of the reference", np.zeros(reference.grid.shape, np.float32)
