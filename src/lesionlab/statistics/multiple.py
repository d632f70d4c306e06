"""Tests of more than two models at once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats


@dataclass(frozen=True, slots=True, kw_only=True)
class FriedmanTest:
    """Whether any of the models differs from the others.

    Attributes:
        chi_square: Friedman's statistic, corrected for ties.
        p_value: From its chi-square distribution.
        f: Iman and Davenport's statistic, less conservative.
        f_p_value: From its F distribution.
    """

    chi_square: float
    p_value: float
    f: float
    f_p_value: float


def friedman(scores: Float[np.ndarray, "model patient"]) -> FriedmanTest:
    """Test three or more models on the same patients by ranks within each patient.

    Models that are equal for every patient give 1 for both p-values; fewer than two patients give NaN.

    Args:
        scores: No value is NaN.

    Source: Friedman 1937, as in `scipy.stats.friedmanchisquare`; Iman and Davenport 1980,
    doi:10.1080/03610928008827904.
    """
    models, patients = scores.shape
    assert models > 2, "two models are compared as a pair"
    if patients < 2:
        return FriedmanTest(chi_square=math.nan, p_value=math.nan, f=math.nan, f_p_value=math.nan)
    if (scores == scores[0]).all():
        return FriedmanTest(chi_square=0.0, p_value=1.0, f=0.0, f_p_value=1.0)
    found = stats.friedmanchisquare(*scores)
    chi_square = float(found.statistic)
    spare = patients * (models - 1) - chi_square
    f = (patients - 1) * chi_square / spare if spare > 1e-12 * chi_square else math.inf
    f_p_value = float(stats.f.sf(f, models - 1, (models - 1) * (patients - 1)))
    return FriedmanTest(chi_square=chi_square, p_value=float(found.pvalue), f=f, f_p_value=f_p_value)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values adjusted for their number by Holm's step-down rule, in the order given.

    NaN stays NaN and counts as a test all the same.

    Source: Holm 1979, Scandinavian Journal of Statistics 6:65-70.
    """
    raw = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(raw, kind="stable")  # NaN last
    steps = np.minimum(1.0, raw[order] * np.arange(raw.size, 0, -1))
    adjusted = np.empty_like(raw)
    adjusted[order] = np.maximum.accumulate(steps)
    return [float(value) for value in adjusted]
