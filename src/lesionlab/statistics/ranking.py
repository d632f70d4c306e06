"""Which model is first, and whether it would be first again with other patients."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from jaxtyping import Float
from scipy import stats

from lesionlab.core.interval import LEVEL, RESAMPLES, SEED, Interval

BATCH_VALUES = 5_000_000

Scores = Float[np.ndarray, "*draw model patient"]
Ranks = Float[np.ndarray, "*draw model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """One way to rank models, and how steady its result is over bootstrap samples of the patients.

    Attributes:
        rule: How patients and ranks are combined.
        ranks: One per model in the order given, 1 the best, ties sharing their mean.
        frequencies: Model by place (first, second, ...) -> fraction of bootstrap samples; a shared rank counts for the
            nearest place, halves for the better one. Rows sum to 1.
        stability: Mean Kendall's tau between the ranking of all patients and those of the bootstrap samples.
        stability_interval: The middle 95 % of those.
    """

    rule: str
    ranks: Float[np.ndarray, " model"]
    frequencies: Float[np.ndarray, "model place"]
    stability: float
    stability_interval: Interval


def rank_models(scores: Float[np.ndarray, "model patient"], *, is_higher_better: bool) -> tuple[Ranking, ...]:
    """Rank two or more models by each of four rules.

    Rank-then-aggregate ranks the models within each patient and takes the mean (or median) rank; aggregate-then-rank
    takes the mean (or median) score and ranks that. Challenges differ in their choice, and winners with it.

    Args:
        scores: No value is NaN.
        is_higher_better: The metric's direction.

    Source: Maier-Hein et al. 2018, doi:10.1038/s41467-018-07619-7; Wiesenfarth et al. 2021,
    doi:10.1038/s41598-021-82017-6.
    """
    oriented = -scores if is_higher_better else scores
    within = stats.rankdata(oriented, axis=0)
    values = {"rank": within, "score": oriented}
    found = []
    for rule, (kind, aggregate) in RULES.items():
        rank = partial(_rank, aggregate=aggregate)
        found.append(_judge(rule, values[kind], rank=rank))
    return tuple(found)


def agreement(rankings: tuple[Ranking, ...]) -> Float[np.ndarray, "ranking ranking"]:
    """Return Kendall's tau between every two rankings; NaN where one of them ties all models."""
    return np.array([[_tau(one.ranks, other.ranks) for other in rankings] for one in rankings])


def _mean(values: Scores) -> Ranks:
    return np.asarray(values.mean(axis=-1))


def _median(values: Scores) -> Ranks:
    return np.asarray(np.median(values, axis=-1))


RULES: Final[dict[str, tuple[str, Callable[[Scores], Ranks]]]] = {
    "mean rank": ("rank", _mean),
    "median rank": ("rank", _median),
    "rank of mean": ("score", _mean),
    "rank of median": ("score", _median),
}
"""Rule -> what is aggregated over patients, and how."""


def _rank(values: Scores, *, aggregate: Callable[[Scores], Ranks]) -> Ranks:
    # Sums of equal numbers in another order differ by rounding, which must not decide a place.
    return np.asarray(stats.rankdata(np.round(aggregate(values), 12), axis=-1))


def _judge(rule: str, values: Float[np.ndarray, "model patient"], *, rank: Callable[[Scores], Ranks]) -> Ranking:
    ranks = rank(values)
    drawn = _bootstrap(values, rank)
    places = np.ceil(drawn - 0.5).astype(int)
    frequencies = np.stack([(places == place).mean(axis=0) for place in range(1, len(values) + 1)], axis=1)
    distinct, member = np.unique(drawn, axis=0, return_inverse=True)
    taus = np.array([_tau(ranks, other) for other in distinct])[member.ravel()]
    taus = taus[~np.isnan(taus)]
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(taus, [tail, 1 - tail]) if taus.size else (np.nan, np.nan)
    return Ranking(
        rule=rule,
        ranks=ranks,
        frequencies=frequencies,
        stability=float(taus.mean()) if taus.size else float("nan"),
        stability_interval=Interval(low=float(low), high=float(high)),
    )


def _bootstrap(
    values: Float[np.ndarray, "model patient"], rank: Callable[[Scores], Ranks]
) -> Float[np.ndarray, "draw model"]:
    """Ranks in 10,000 samples of the patients."""
    rng = np.random.default_rng(SEED)
    patients = values.shape[1]
    batch = max(1, min(RESAMPLES, BATCH_VALUES // values.size))
    ranks = []
    for start in range(0, RESAMPLES, batch):
        chosen = rng.integers(0, patients, (min(batch, RESAMPLES - start), patients))
        ranks.append(rank(np.moveaxis(values[:, chosen], 0, 1)))
    return np.concatenate(ranks)


def _tau(one: Float[np.ndarray, " model"], other: Float[np.ndarray, " model"]) -> float:
    """Kendall's tau-b; NaN when a ranking ties all models."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(stats.kendalltau(one, other).statistic)
