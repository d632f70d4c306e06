"""Beside each legacy figure the official one, so that a reader sees the difference."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lesionlab.core.report import Rules, Summary

KINDS: Final = {
    "hd95": "hd95",
    "dsc": "dice",
    "dice": "dice",
    "iou": "iou",
    "jaccard": "iou",
    "avd": "volume",
    "absolute_volume": "volume",
    "lesion_f1": "lesion_f1",
    "lesion_recall": "lesion_recall",
    "lesion_precision": "lesion_precision",
    "recall": "recall",
    "f1": "dice",
    "sensitivity": "recall",
    "precision": "precision",
    "specificity": "specificity",
    "accuracy": "accuracy",
    "assd": "distance",
    "nsd": "nsd",
}
"""Start of a metric's name -> what it is about, whatever the protocol calls it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyFigure:
    """A legacy mean and what official rules give on the same masks.

    Attributes:
        title: Of the legacy rules.
        legacy: The legacy figure.
        official: Figures about the same thing under other rules; may be empty.
        difference: Legacy minus the first official one; NaN where their units differ or there is none.
    """

    title: str
    legacy: Summary
    official: tuple[Summary, ...]
    difference: float


def pair_legacy(summaries: Sequence[Summary], rules: Sequence[Rules]) -> tuple[LegacyFigure, ...]:
    """Return every legacy figure with its official counterparts, in the order of the summaries."""
    legacy = {one.name: one.title for one in rules if one.is_legacy}
    official = [summary for summary in summaries if summary.protocol not in legacy]
    figures = []
    for summary in summaries:
        if summary.protocol in legacy:
            own = [one for one in summaries if one.protocol == summary.protocol]
            same = tuple(one for one in official if _is_counterpart(summary, one, own, official))
            differ = not same or same[0].unit != summary.unit
            difference = math.nan if differ else summary.mean - same[0].mean
            title = legacy[summary.protocol]
            figures.append(LegacyFigure(title=title, legacy=summary, official=same, difference=difference))
    return tuple(figures)


def _is_counterpart(legacy: Summary, other: Summary, own: Sequence[Summary], official: Sequence[Summary]) -> bool:
    """Whether both are about the same thing in the same region, or in the only one that there is."""
    kind = _kind(legacy.metric)
    regions = {one.region for one in own}, {one.region for one in official if one.protocol == other.protocol}
    is_one_region = all(len(names) == 1 for names in regions)
    return bool(kind) and kind == _kind(other.metric) and (is_one_region or legacy.region == other.region)


def _kind(metric: str) -> str:
    starts = [start for start in KINDS if metric.startswith(start)]
    return KINDS[max(starts, key=len)] if starts else ""
