"""The order in which a dataset is judged: case by case, then as a whole."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

from lesionlab.core.case import Case
from lesionlab.core.labels import Labels
from lesionlab.core.progress import track
from lesionlab.layouts.opening import open_layout
from lesionlab.workflows.check import dataset, exchanged, grids, headers, intensities, masks, mirror, pictures
from lesionlab.workflows.check.copies import Copies
from lesionlab.workflows.check.finding import Finding
from lesionlab.workflows.check.scan import Scan, load
from lesionlab.workflows.modality_use import report_use

Rule: TypeAlias = Callable[[Scan], Iterator[Finding]]

RULES: tuple[Rule, ...] = (
    grids.judge_grids,
    grids.judge_orientation,
    grids.judge_tilt,
    grids.judge_shear,
    headers.judge_transforms,
    headers.judge_spacing,
    headers.judge_scaling,
    headers.judge_axes,
    intensities.judge_contrast,
    intensities.judge_planes,
    intensities.judge_hounsfield_units,
    intensities.judge_air,
    masks.judge_label_values,
    masks.judge_label_noise,
    masks.judge_lesion,
    masks.judge_place,
    exchanged.judge_lesion_brightness,
)
"""What is asked of every case; a new rule is one function and one entry."""


def check(data: str, *, midplane: bool = False) -> tuple[Finding, ...]:
    """Judge every case of a dataset, and the dataset as a whole.

    Args:
        data: LAYOUT:FOLDER.
        midplane: Also tell for each case where the plane between the hemispheres lies; seconds a case.

    Raises:
        LayoutError: The folder does not follow its layout, or a case lacks a modality.
        NameUnknownError: No layout has this name.
    """
    _, layout = open_layout(data)
    cases = tuple(layout.cases())
    report_use(cases, layout.modalities)
    rules = (*RULES, mirror.judge_midplane) if midplane else RULES
    findings = judge(track(cases, what="checking", total=len(cases)), layout.labels, rules=rules)
    return (
        *findings,
        *dataset.judge_modalities(cases, layout),
        *dataset.judge_left_over(cases, layout.folder),
        *pictures.judge_number_ranges(cases),
        *pictures.judge_mask_formats(cases),
    )


def judge(cases: Iterable[Case], labels: Labels, *, rules: Sequence[Rule] = RULES) -> tuple[Finding, ...]:
    """Judge cases, one in memory at a time; no finding means that nothing is remarkable.

    Args:
        cases: What to judge.
        labels: The stored values that masks may hold.
        rules: What is asked of every case.
    """
    findings: list[Finding] = []
    copies, appearances = Copies(), exchanged.Appearances()
    for case in cases:
        scan, unreadable = load(case, labels)
        findings += unreadable
        for rule in rules:
            findings += rule(scan)
        findings += copies.judge(scan)
        appearances.remember(scan)
    told = {finding.case for finding in findings if finding.rule == "modalities-exchanged"}
    findings += (finding for finding in appearances.judge() if finding.case not in told)
    findings += dataset.judge_lesions(appearances.cases, findings)
    return (*findings, *dataset.judge_patients(appearances.cases))
