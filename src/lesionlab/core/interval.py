"""How sure a mean is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

LEVEL = 0.95
RESAMPLES = 10_000
SEED = 20_170_917
"""Fixed, so that one report always shows one interval."""

FEWEST = 3
"""Two values have too few resamples for an interval that means anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """The two ends of an interval; both NaN where there are too few values."""

    low: float
    high: float


def mean_interval(values: Sequence[float], *, groups: Sequence[str] = ()) -> Interval:
    """Return the bootstrap interval of the mean: 95 %, bias-corrected and accelerated, 10,000 resamples, fixed seed.

    Fewer than three groups give NaN; values that are all equal give themselves.

    Differs: at few patients the plain interval is too narrow (of 30 patients it covers the truth in under 93 % of
    studies), so its level is raised by `expanded_level`.

    Args:
        values: One per scan, none NaN.
        groups: The patient of each value; whole patients are then drawn, because two scans of one patient tell less
            than scans of two. Without it every value is a patient of its own.

    Source: Efron 1987, doi:10.1080/01621459.1987.10478410, as in `scipy.stats.bootstrap`; Hesterberg 2015,
    doi:10.1080/00031305.2015.1089789.
    """
    sample = np.asarray(values, dtype=np.float64)
    _, member = np.unique(np.asarray(groups) if groups else np.arange(sample.size), return_inverse=True)
    sums, sizes = np.bincount(member, weights=sample), np.bincount(member).astype(np.float64)
    if sizes.size < FEWEST:
        return Interval(low=math.nan, high=math.nan)
    if np.allclose(sums / sizes, sample[0], rtol=1e-12, atol=1e-12):
        return Interval(low=float(sample[0]), high=float(sample[0]))
    found = stats.bootstrap(
        (sums, sizes),
        _mean,
        paired=True,
        confidence_level=expanded_level(sizes.size),
        n_resamples=RESAMPLES,
        batch=max(1, 10**7 // sizes.size),
        method="BCa",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return Interval(low=float(found.low), high=float(found.high))


def expanded_level(n: int) -> float:
    """Return the level to ask of a bootstrap of `n` patients so that 95 % of studies cover the truth.

    A bootstrap of few patients is narrow for two reasons: it divides by n where n - 1 is meant, and it takes normal
    for Student's quantiles. The level makes up for both and is 95 % for many patients.
    """
    reach = math.sqrt(n / (n - 1)) * stats.t.ppf((1 + LEVEL) / 2, n - 1)
    return float(1 - 2 * stats.norm.sf(reach))


def _mean(
    sums: Float[np.ndarray, "*draw group"], sizes: Float[np.ndarray, "*draw group"], *, axis: int = -1
) -> Float[np.ndarray, "*draw"]:
    return np.asarray(sums.sum(axis=axis) / sizes.sum(axis=axis))
