"""What a study of this size could have shown at all."""

import math

import numpy as np
from jaxtyping import Float
from scipy import optimize, stats

SIGNIFICANT = 0.05
POWER = 0.8


def smallest_p_value(n: int) -> float:
    """Return the smallest p-value that a two-sided signed-rank test of `n` patients can give: 2 / 2^n, 1 for none."""
    return min(1.0, 2.0 ** (1 - n))


def detectable_difference(differences: Float[np.ndarray, " patient"]) -> float:
    """Return the mean difference that a paired t-test would find with 80 % power at 5 %, two-sided.

    It is for the spread of these differences and their number, in their unit. Fewer than three patients give NaN, and
    differences that are all equal give 0.

    Source: noncentral t distribution, Cohen 1988, Statistical Power Analysis for the Behavioral Sciences.
    """
    n = differences.size
    if n < 3:
        return math.nan
    critical = stats.t.ppf(1 - SIGNIFICANT / 2, n - 1)

    def lacking(effect: float) -> float:
        return float(stats.nct.sf(critical, n - 1, effect * math.sqrt(n))) - POWER  # the far tail never holds 1e-5

    effect = optimize.brentq(lacking, 0.0, 12.0)
    return float(effect * differences.std(ddof=1))
