"""Parts of the patients or lesions that are looked at apart: by site, by lesion load, by any column of a table."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lesionlab.statistics.comparison import ModelScore, summarise_models
from lesionlab.statistics.score_table import ScoreTable

FEW = 10
"""A part of fewer patients is shown with a warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """One part of the patients or lesions.

    Attributes:
        name: Which part ("Utrecht").
        n: Patients or lesions.
        models: Each model's scores in this part.
    """

    name: str
    n: int
    models: tuple[ModelScore, ...]

    @property
    def is_small(self) -> bool:
        """Whether there are too few to lean on."""
        return self.n < FEW


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratification:
    """One metric, part by part.

    Attributes:
        metric: Its name, with protocol and region.
        unit: As in `lesionlab.core.metric.Score`.
        by: What divides the patients ("site").
        counted: What is counted: "patients", "pictures" or "lesions".
        strata: The parts in order.
    """

    metric: str
    unit: str
    by: str
    counted: str
    strata: tuple[Stratum, ...]

    @property
    def models(self) -> tuple[str, ...]:
        """The models' names."""
        return tuple(score.model for score in self.strata[0].models)

    @property
    def gaps(self) -> tuple[float, ...]:
        """How far each model's best and worst part lie apart; NaN where a part has no mean."""
        by_model = zip(*(stratum.models for stratum in self.strata), strict=True)
        return tuple(float(np.ptp([score.mean for score in scores])) for scores in by_model)


def stratify(table: ScoreTable, parts: Mapping[str, str], *, by: str) -> Stratification:
    """Return the scores of each part, parts in order of their names.

    Args:
        table: Of all patients; at least one belongs to a part.
        parts: Patient -> part; patients without one are left out.
        by: What divides them.
    """
    together: dict[str, set[str]] = {}
    for patient in table.patients:
        if parts.get(patient):
            together.setdefault(parts[patient], set()).add(patient)
    assert together, "no patient belongs to a part"
    strata = []
    for name in sorted(together):
        part = table.of(frozenset(together[name]))
        strata.append(Stratum(name=name, n=len(part.patients), models=summarise_models(part)))
    return Stratification(metric=table.name, unit=table.unit, by=by, counted=table.counted, strata=tuple(strata))


def thirds(values: Mapping[str, float], *, unit: str) -> dict[str, str]:
    """Return the third in which each value lies, in words that sort from low to high; what is not finite is left out.

    Fewer than three different values cannot be divided and give nothing.
    """
    known = {name: value for name, value in values.items() if math.isfinite(value)}
    if len(set(known.values())) < 3:
        return {}
    first, second = np.quantile(list(known.values()), [1 / 3, 2 / 3])
    words = (f"1 low, to {first:.3g} {unit}", f"2 middle, to {second:.3g} {unit}", f"3 high, above {second:.3g} {unit}")
    return {name: words[int(value > first) + int(value > second)] for name, value in known.items()}
