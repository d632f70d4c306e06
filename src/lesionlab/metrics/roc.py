"""How well scores tell cases of a class from all others, at every threshold at once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """An area under a receiver operating characteristic with its interval.

    Attributes:
        value: In [0, 1]; 0.5 is chance. NaN where there is no case of the class, or no other.
        standard_error: NaN where fewer than two patients have the class, or have it not.
        low: Lower end of the 95 % interval, not below 0.
        high: Upper end, not above 1.
    """

    value: float
    standard_error: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A receiver operating characteristic, from the strictest threshold to the laxest.

    Attributes:
        false_positive_rate: Share of the others that are taken for the class; from 0 to 1.
        sensitivity: Share of the class that is found; from 0 to 1.
        threshold: A case is taken for the class when its score is this or higher; infinite at the first point.
    """

    false_positive_rate: Float[np.ndarray, "point"]
    sensitivity: Float[np.ndarray, "point"]
    threshold: Float[np.ndarray, "point"]


def area_under_curve(scores: Float[np.ndarray, "case"], has_class: Bool[np.ndarray, "case"]) -> float:
    """Return the share of pairs (one case of the class, one other) whose scores are in order; ties count half.

    NaN where there is no case of the class, or no other.

    Source: Hanley and McNeil 1982, doi:10.1148/radiology.143.1.7063747.
    """
    inside, outside = _placements(scores, has_class)
    return float(inside.mean()) if inside.size and outside.size else math.nan


def resampled_areas(
    scores: Float[np.ndarray, "case"], has_class: Bool[np.ndarray, "case"], *, weights: Float[np.ndarray, "draw case"]
) -> Float[np.ndarray, "draw"]:
    """Return the area under the curve where each case counts as often as each draw says; NaN as `area_under_curve`."""
    inside, outside = scores[has_class][:, None], scores[~has_class][None]
    in_order = (inside > outside) + 0.5 * (inside == outside)
    with_class, without = weights[:, has_class], weights[:, ~has_class]
    pairs = with_class.sum(axis=1) * without.sum(axis=1)
    summed = ((with_class @ in_order) * without).sum(axis=1)
    return np.asarray(np.divide(summed, pairs, out=np.full(len(weights), np.nan), where=pairs > 0))


def delong_area(
    scores: Float[np.ndarray, "case"], has_class: Bool[np.ndarray, "case"], *, groups: Sequence[str]
) -> Area:
    """Return the area under the curve with the interval of DeLong, which assumes no distribution of the scores.

    Where a patient has several cases, their dependence is allowed for (Obuchowski); with one case each, both are one.
    The interval has no width where no pair is out of order, which says that there were few cases and not that there
    is no doubt.

    Args:
        scores: Higher for the class.
        has_class: Which cases have it.
        groups: The patient of each case.

    Source: DeLong et al. 1988, doi:10.2307/2531595, by midranks (Sun and Xu 2014, doi:10.1109/LSP.2014.2337313);
        Obuchowski 1997, doi:10.2307/2533958.
    """
    inside, outside = _placements(scores, has_class)
    if not inside.size or not outside.size:
        return Area(value=math.nan, standard_error=math.nan, low=math.nan, high=math.nan)
    value = float(inside.mean())
    names, patients = np.unique(np.asarray(groups), return_inverse=True)
    counts = (len(np.unique(patients[has_class])), len(np.unique(patients[~has_class])), len(names))
    if min(counts) < 2:
        return Area(value=value, standard_error=math.nan, low=math.nan, high=math.nan)
    one, other, both = (count / (count - 1) for count in counts)
    shares = [
        np.bincount(patients[kind], weights=placed - value, minlength=len(names)) / placed.size
        for kind, placed in ((has_class, inside), (~has_class, outside))
    ]
    variance = one * (shares[0] ** 2).sum() + other * (shares[1] ** 2).sum() + 2 * both * (shares[0] @ shares[1])
    error = math.sqrt(max(0.0, float(variance)))
    reach = float(stats.norm.ppf((1 + LEVEL) / 2)) * error
    return Area(value=value, standard_error=error, low=max(0.0, value - reach), high=min(1.0, value + reach))


def characteristic(scores: Float[np.ndarray, "case"], has_class: Bool[np.ndarray, "case"]) -> Curve:
    """Return the curve's corners; there must be cases of the class and others."""
    assert has_class.any(), "no case has the class"
    assert not has_class.all(), "every case has the class"
    order = np.argsort(-scores, kind="stable")
    last_of_ties = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    found = np.cumsum(has_class[order])[last_of_ties]
    mistaken = 1 + last_of_ties - found
    return Curve(
        false_positive_rate=np.concatenate([[0.0], mistaken / mistaken[-1]]),
        sensitivity=np.concatenate([[0.0], found / found[-1]]),
        threshold=np.concatenate([[np.inf], scores[order][last_of_ties].astype(np.float64)]),
    )


def _placements(
    scores: Float[np.ndarray, "case"], has_class: Bool[np.ndarray, "case"]
) -> tuple[Float[np.ndarray, "inside"], Float[np.ndarray, "outside"]]:
    """Return for each case the share of the opposite kind that it is in order with, ties counted half."""
    inside, outside = scores[has_class], scores[~has_class]
    ranks = stats.rankdata(scores)
    above = ranks[has_class] - stats.rankdata(inside)
    below = ranks[~has_class] - stats.rankdata(outside)
    return above / max(1, outside.size), 1 - below / max(1, inside.size)
