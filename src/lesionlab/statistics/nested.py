"""Intervals of a difference when patients, and perhaps training seeds, are a sample."""

import math

import numpy as np
from jaxtyping import Float

from lesionlab.core.interval import FEWEST, RESAMPLES, SEED, Interval, expanded_level, mean_interval

BATCH = 1_000


def difference_interval(
    first: Float[np.ndarray, "seed_of_first patient"], second: Float[np.ndarray, "seed_of_second patient"]
) -> Interval:
    """Return the 95 % interval of the mean difference, first minus second; NaN for fewer than three patients.

    With one seed each it is `mean_interval` of the patients' differences. With several, each of 10,000 resamples draws
    the patients, the same for both models, and the seeds of each; the interval is then a percentile one and rather too
    wide than too narrow, as chance within one training and patient is drawn with both. Three seeds are a small sample
    of trainings: the interval contains what they show and no more.

    Source: Owen 2007, doi:10.1214/07-AOAS122 (the pigeonhole bootstrap).
    """
    if len(first) == len(second) == 1:
        return mean_interval((first[0] - second[0]).tolist())
    if first.shape[1] < FEWEST:
        return Interval(low=math.nan, high=math.nan)
    rng = np.random.default_rng(SEED)
    drawn = np.concatenate([_draw(first, second, rng) for _ in range(RESAMPLES // BATCH)])
    tail = (1 - expanded_level(first.shape[1])) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Interval(low=float(low), high=float(high))


def _draw(
    first: Float[np.ndarray, "seed_of_first patient"],
    second: Float[np.ndarray, "seed_of_second patient"],
    rng: np.random.Generator,
) -> Float[np.ndarray, " draw"]:
    """Means of the difference over patients and seeds drawn with replacement."""
    patients = _weights(first.shape[1], rng)
    drawn = np.zeros(BATCH)
    for sign, scores in ((1, first), (-1, second)):
        drawn += sign * np.einsum("ds,sp,dp->d", _weights(len(scores), rng), scores, patients, optimize=True)
    return drawn


def _weights(n: int, rng: np.random.Generator) -> Float[np.ndarray, "draw unit"]:
    """How often each of `n` units is drawn, as a fraction."""
    return rng.multinomial(n, np.full(n, 1 / n), size=BATCH) / n
