"""All measures of a classification with their intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from lesionlab.metrics import classes as of_classes
from lesionlab.metrics.roc import LEVEL, area_under_curve, delong_area, resampled_areas

RESAMPLES = 2_000
SEED = 20_240_708
"""Fixed, so that one report always shows one interval."""

DELONG, WILSON, BOOTSTRAP = "DeLong", "Wilson", "bootstrap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One number about all cases.

    Attributes:
        name: "auc", "balanced_accuracy", "sensitivity", ...
        of: The class it is about; empty for all classes together.
        value: NaN where it is undefined.
        low: Lower end of the 95 % interval; NaN where there is none.
        high: Upper end.
        method: How the interval was made.
        n: Cases that it is made of.
        is_higher_better: The direction of improvement.
    """

    name: str
    of: str
    value: float
    low: float
    high: float
    method: str
    n: int
    is_higher_better: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What was said of cases, and what is true.

    Attributes:
        probabilities: Of each class; rows add up to 1.
        predicted: Number of the class that each case was taken for.
        reference: Number of its own class.
        groups: Its patient.
        classes: Names of the classes; of two, the second is the one to be found.
    """

    probabilities: Float[np.ndarray, "case class"]
    predicted: Int[np.ndarray, "case"]
    reference: Int[np.ndarray, "case"]
    groups: tuple[str, ...]
    classes: tuple[str, ...]

    @property
    def found_classes(self) -> tuple[int, ...]:
        """Numbers of the classes to be found: of two the second, of more each against the rest."""
        return (1,) if len(self.classes) == 2 else tuple(range(len(self.classes)))


def measure(judged: Judged) -> tuple[Measure, ...]:
    """Return area under the curve, accuracies, sensitivity, specificity, F1 and calibration, with 95 % intervals.

    Areas have DeLong's intervals; sensitivity and specificity Wilson's where every patient has one case; all else has
    percentiles of 2,000 resamples of patients within each class, with a fixed seed.

    Source: Wilson 1927, doi:10.1080/01621459.1927.10502953.
    """
    table = of_classes.confusion(judged.reference, judged.predicted, classes=len(judged.classes))
    weights = resampled_weights(judged)
    drawn = of_classes.confusion(judged.reference, judged.predicted, classes=len(judged.classes), weights=weights)
    measures = [_area(judged, number) for number in judged.found_classes]
    if len(measures) > 1:
        measures.append(_mean_area(judged, weights))
    for name, rate in (("accuracy", of_classes.accuracy), ("balanced_accuracy", of_classes.balanced_accuracy)):
        measures.append(_from_draws(name, "", values=rate(drawn), value=rate(table)[0], n=len(judged.reference)))
    for number in judged.found_classes:
        measures += _of_one_class(judged, number, table=table, drawn=drawn)
    return (*measures, *_of_probabilities(judged, weights))


def resampled_weights(judged: Judged) -> Float[np.ndarray, "draw case"]:
    """Return how often each case counts in each bootstrap resample: patients are drawn within their class."""
    generator = np.random.default_rng(SEED)
    patients, first, member = np.unique(np.asarray(judged.groups), return_index=True, return_inverse=True)
    own_class = judged.reference[first]
    counts = np.zeros((RESAMPLES, len(patients)))
    for number in np.unique(own_class):
        inside = np.flatnonzero(own_class == number)
        counts[:, inside] = generator.multinomial(len(inside), np.full(len(inside), 1 / len(inside)), size=RESAMPLES)
    return counts[:, member]


def _area(judged: Judged, number: int) -> Measure:
    has_class = judged.reference == number
    area = delong_area(judged.probabilities[:, number], has_class, groups=judged.groups)
    name = judged.classes[number]
    return _measure("auc", name, value=area.value, ends=(area.low, area.high), method=DELONG, n=len(has_class))


def _mean_area(judged: Judged, weights: Float[np.ndarray, "draw case"]) -> Measure:
    """Return the mean over classes, each against the rest."""
    areas = [
        resampled_areas(judged.probabilities[:, number], judged.reference == number, weights=weights)
        for number in np.unique(judged.reference)
    ]
    value = mean_area(judged.probabilities, judged.reference)
    return _from_draws("auc", "", values=np.mean(areas, axis=0), value=value, n=len(judged.reference))


def mean_area(probabilities: Float[np.ndarray, "case class"], reference: Int[np.ndarray, "case"]) -> float:
    """Return the area under the curve: of two classes the second's, of more the mean of those that can be judged.

    NaN where all cases are of one class.
    """
    numbers = [1] if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    areas = np.array([area_under_curve(probabilities[:, number], reference == number) for number in numbers])
    defined = areas[~np.isnan(areas)]
    return float(defined.mean()) if defined.size else float("nan")


def _of_one_class(
    judged: Judged,
    number: int,
    *,
    table: Float[np.ndarray, "one class class"],
    drawn: Float[np.ndarray, "draw class class"],
) -> list[Measure]:
    rates: dict[str, Callable[..., Float[np.ndarray, "draw class"]]] = {
        "sensitivity": of_classes.sensitivity,
        "specificity": of_classes.specificity,
        "f1": of_classes.f1,
    }
    cases, inside = len(judged.reference), int((judged.reference == number).sum())
    sizes = {"sensitivity": inside, "specificity": cases - inside, "f1": cases}
    is_independent = len(set(judged.groups)) == cases
    measures = []
    for name, rate in rates.items():
        value, n = float(rate(table)[0, number]), sizes[name]
        if is_independent and name != "f1" and n:
            found = stats.binomtest(round(value * n), n).proportion_ci(LEVEL, method="wilson")
            ends = (float(found.low), float(found.high))
            measures.append(_measure(name, judged.classes[number], value=value, ends=ends, method=WILSON, n=n))
        else:
            values = rate(drawn)[:, number]
            measures.append(_from_draws(name, judged.classes[number], values=values, value=value, n=n))
    return measures


def _of_probabilities(judged: Judged, weights: Float[np.ndarray, "draw case"]) -> list[Measure]:
    n = len(judged.reference)
    said, came_true = of_classes.what_was_said(judged.probabilities, judged.reference)
    error = of_classes.calibration_error(said, came_true)[0]
    errors = of_classes.calibration_error(said, came_true, weights=weights)
    measures = [_from_draws("calibration_error", "", values=errors, value=error, n=n, is_higher_better=False)]
    parts = {
        "brier": of_classes.squared_errors(judged.probabilities, judged.reference),
        "log_loss": of_classes.log_losses(judged.probabilities, judged.reference),
    }
    for name, values in parts.items():
        means = weights @ values / weights.sum(axis=1)
        measures.append(_from_draws(name, "", values=means, value=values.mean(), n=n, is_higher_better=False))
    return measures


def _from_draws(
    name: str,
    of: str,
    *,
    values: Float[np.ndarray, "draw"],
    value: float,
    n: int,
    is_higher_better: bool = True,
) -> Measure:
    defined = values[~np.isnan(values)]
    margin = (1 - LEVEL) / 2
    ends = np.quantile(defined, [margin, 1 - margin]) if defined.size else np.full(2, np.nan)
    return _measure(
        name, of, value=value, ends=(ends[0], ends[1]), method=BOOTSTRAP, n=n, is_higher_better=is_higher_better
    )


def _measure(
    name: str,
    of: str,
    *,
    value: float,
    ends: Sequence[float],
    method: str,
    n: int,
    is_higher_better: bool = True,
) -> Measure:
    return Measure(
        name=name,
        of=of,
        value=float(value),
        low=float(ends[0]),
        high=float(ends[1]),
        method=method,
        n=n,
        is_higher_better=is_higher_better,
    )
