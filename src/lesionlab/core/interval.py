"""How sure a mean is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
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


def mean_interval(values: Sequence[float]) -> Interval:
    """Return the bootstrap interval of the mean: 95 %, bias-corrected and accelerated, 10,000 resamples, fixed seed.

    Fewer than three values give NaN; values that are all equal give themselves.

    Source: Efron 1987, doi:10.1080/01621459.1987.10478410, as in `scipy.stats.bootstrap`.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.size < FEWEST:
        return Interval(low=math.nan, high=math.nan)
    if np.allclose(sample, sample[0], rtol=1e-12, atol=1e-12):
        return Interval(low=float(sample[0]), high=float(sample[0]))
    found = stats.bootstrap(
        (sample,),
        np.mean,
        confidence_level=LEVEL,
        n_resamples=RESAMPLES,
        batch=max(1, 10**7 // sample.size),
        method="BCa",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return Interval(low=float(found.low), high=float(found.high))
