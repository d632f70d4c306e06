"""Score the masks of many cases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lesionlab.core.case import Case
from lesionlab.core.labels import Labels
from lesionlab.core.lesion_table import LesionRow
from lesionlab.core.metric import Score
from lesionlab.core.progress import track
from lesionlab.core.protocol import Protocol
from lesionlab.core.report import Row
from lesionlab.engine.case_files import read_mask
from lesionlab.engine.images import read_label
from lesionlab.engine.processes import Each
from lesionlab.workflows.case_lesions import list_lesions


def score_cases(
    cases: Sequence[Case],
    masks: Mapping[str, Path],
    *,
    labels: Labels,
    protocols: Mapping[str, Protocol],
    each: Each,
) -> tuple[tuple[Row, ...], tuple[LesionRow, ...]]:
    """Return the scores and the lesions of every case, in the order of the cases.

    Args:
        cases: Each with a reference.
        masks: Case id -> predicted mask.
        labels: What stored values mean.
        protocols: Name -> rules.
        each: Calls a function for every case.

    Raises:
        GridError: A prediction lies on another grid than its reference.
        LabelError: A mask holds a value that `labels` does not declare.
    """
    score = _Scoring(labels=labels, protocols=dict(protocols))
    paths = [masks[case.id] for case in cases]
    rows: list[Row] = []
    lesions: list[LesionRow] = []
    for scored, listed in track(each(score, cases, paths), what="evaluating", total=len(cases)):
        rows += scored
        lesions += listed
    return tuple(rows), tuple(lesions)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scoring:
    """How a case is scored; it travels to another process."""

    labels: Labels
    protocols: dict[str, Protocol]

    def __call__(self, case: Case, mask: Path) -> tuple[list[Row], list[LesionRow]]:
        assert case.label is not None
        predicted, reference = read_label(mask), read_mask(case, self.labels)
        reference.grid.check_same(
            predicted.grid, mine=case.label, others=mask, next_step="predict the case again on its own grid"
        )
        self.labels.check(reference.array, where=case.label)
        self.labels.check(predicted.array, where=mask)
        spacing_mm = reference.grid.spacing_mm
        found, true = (np.ascontiguousarray(image.array) for image in (predicted, reference))  # once, for all pairs
        rows = [
            _row(case, name, score)
            for name, rules in self.protocols.items()
            for score in rules.score(found, true, spacing_mm=spacing_mm)
        ]
        return rows, list_lesions(case, found, true, labels=self.labels, spacing_mm=spacing_mm)


def _row(case: Case, protocol: str, score: Score) -> Row:
    return Row(
        case=case.id,
        group=case.group,
        site=case.site,
        protocol=protocol,
        region=score.region,
        metric=score.metric,
        value=score.value,
        unit=score.unit,
        is_higher_better=score.is_higher_better,
        reason=score.reason,
    )
