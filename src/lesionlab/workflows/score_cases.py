"""Score the masks of many cases."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

import lesionlab.protocols  # noqa: F401 (registers them)
from lesionlab.core.case import Case
from lesionlab.core.labels import LESION, Labels, check_numbers, translate
from lesionlab.core.lesion_table import LesionRow
from lesionlab.core.metric import Score, Spacing
from lesionlab.core.progress import track
from lesionlab.core.protocol import LabelMap, Protocol, known_values, protocol
from lesionlab.core.report import Row
from lesionlab.engine.case_loop import attempt, results_of
from lesionlab.engine.processes import Each
from lesionlab.workflows.case_lesions import list_lesions
from lesionlab.workflows.case_masks import read_case_masks


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """How the masks of a dataset are scored by several protocols; it travels to another process.

    Attributes:
        labels: What the stored values of the masks mean.
        protocols: Name -> rules.
        values: Name of a protocol -> how it stores what each value of the dataset means.
    """

    labels: Labels
    protocols: dict[str, Protocol]
    values: dict[str, dict[int, int]]

    @classmethod
    def by(cls, names: Sequence[str], labels: Labels) -> "Scoring":
        """Make the named protocols; those whose regions are the dataset's are told its labels.

        Raises:
            NameUnknownError: No protocol has one of the names.
            LabelError: A protocol knows other regions than `labels` declare.
        """
        protocols = {name: _build(name, labels) for name in names}
        values = {name: known_values(rules, labels, name=name) for name, rules in protocols.items()}
        return cls(labels=labels, protocols=protocols, values=values)

    @classmethod
    def alone(cls, name: str) -> "Scoring":
        """Make one protocol for masks in the stored values that it knows itself; 1 is lesion where it knows none.

        Raises:
            NameUnknownError: No protocol has the name.
        """
        return cls.by([name], protocol.build(name).reads or LESION)

    def stored_values(self, array: Shaped[np.ndarray, "..."], *, where: str) -> Shaped[np.ndarray, "..."]:
        """Return a mask as declared stored values; as it is where the labels are those of rules for any number.

        Args:
            array: Label map; of a single region also a mask or probabilities.
            where: Named in messages.

        Raises:
            LabelError: A value is not finite, or declared by nobody.
        """
        is_for_any = any(self.labels is rules.reads for rules in self.protocols.values())
        if is_for_any and self.labels.lesion_above is not None:
            check_numbers(array, where=where)
            return array
        return self.labels.predicted_values(array, where=where)

    def scores(self, predicted: LabelMap, reference: LabelMap, *, spacing_mm: Spacing) -> Iterator[tuple[str, Score]]:
        """Yield every score of two masks in the dataset's stored values, with the name of its protocol.

        Ignored voxels of the reference are erased from both masks, but for a protocol that knows such values.
        """
        for name, rules in self.protocols.items():
            masks = predicted, reference
            if rules.reads is not None:
                masks = self._translated(masks, self.values[name], is_erasing=not rules.reads.ignored)
            for score in rules.score(*masks, spacing_mm=spacing_mm):
                yield name, score

    def __call__(self, case: Case, mask: Path) -> tuple[list[Row], list[LesionRow]]:
        """Return the scores and the lesions of a case with a predicted mask."""
        masks = read_case_masks(case, mask, self.labels)
        spacing_mm = masks.grid.spacing_mm
        rows = [
            _row(case, name, score)
            for name, score in self.scores(masks.predicted, masks.reference, spacing_mm=spacing_mm)
        ]
        lesions = list_lesions(case, masks.predicted, masks.reference, labels=self.labels, spacing_mm=spacing_mm)
        return rows, lesions

    def _translated(
        self, masks: tuple[LabelMap, LabelMap], values: Mapping[int, int], *, is_erasing: bool
    ) -> tuple[LabelMap, LabelMap]:
        """Return both masks in other stored values."""
        if any(value != other for value, other in values.items()):
            ignored = self.labels.ignored_of(masks[1])
            predicted, reference = (translate(mask, values) for mask in masks)
            return (np.where(ignored, np.int16(0), predicted) if is_erasing else predicted), reference
        return masks


def score_cases(
    cases: Sequence[Case], masks: Mapping[str, Path], *, scoring: Scoring, each: Each
) -> tuple[tuple[Row, ...], tuple[LesionRow, ...]]:
    """Return the scores and the lesions of every case, in the order of the cases.

    Args:
        cases: Each with a reference.
        masks: Case id -> predicted mask.
        scoring: The rules.
        each: Calls a function for every case.

    Raises:
        CasesError: Some cases cannot be scored: a prediction lies elsewhere than its reference, or a mask holds a value
            that nobody declares. Each is named with its reason.
    """
    paths = [masks[case.id] for case in cases]
    rows: list[Row] = []
    lesions: list[LesionRow] = []
    outcomes = track(each(partial(attempt, scoring), cases, paths), what="evaluating", total=len(cases))
    for scored, listed in results_of(list(outcomes), what="evaluating"):
        rows += scored
        lesions += listed
    return tuple(rows), tuple(lesions)


def _build(name: str, labels: Labels) -> Protocol:
    takes_labels = "labels" in protocol.schema(name).model_fields
    return protocol.build(name, labels=labels) if takes_labels else protocol.build(name)


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
