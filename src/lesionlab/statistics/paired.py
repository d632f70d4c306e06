"""Two models on the same patients: which is better, by how much, how surely."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from lesionlab.core.interval import LEVEL, Interval
from lesionlab.statistics.nested import difference_interval

COUNTED_UP_TO = 13
"""Patients up to which the signs of tied differences are counted; more are taken as normal."""

EXACT_UP_TO = 50
"""Patients up to which the ends of the shift's interval come from the exact distribution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedTest:
    """A first model against a second; differences are first minus second, in the metric's unit.

    Attributes:
        n: Patients.
        wins: Patients for whom the first is better.
        ties: Patients for whom both are equal.
        losses: Patients for whom the second is better.
        mean_difference: Mean over patients.
        mean_interval: Its 95 % bootstrap interval over patients, and over seeds where there are several.
        shift: Hodges and Lehmann's estimate of the typical difference.
        shift_interval: Its 95 % interval by Wilcoxon's distribution.
        p_value: Wilcoxon's signed-rank test, two-sided, zeros by Pratt.
    """

    n: int
    wins: int
    ties: int
    losses: int
    mean_difference: float
    mean_interval: Interval
    shift: float
    shift_interval: Interval
    p_value: float

    @property
    def win_rate(self) -> float:
        """Fraction of patients for whom the first is better, a tie counting as half; NaN without patients."""
        return (self.wins + self.ties / 2) / self.n if self.n else math.nan


def compare_pair(
    first: Float[np.ndarray, "seed_of_first patient"],
    second: Float[np.ndarray, "seed_of_second patient"],
    *,
    is_higher_better: bool,
) -> PairedTest:
    """Compare two models on the same patients; each may have been trained with several seeds.

    Args:
        first: Scores, none NaN; the mean over seeds is a patient's score.
        second: Of the same patients in the same order.
        is_higher_better: The metric's direction.
    """
    differences = patient_differences(first, second)
    better = differences if is_higher_better else -differences
    shift, shift_interval = hodges_lehmann(differences)
    return PairedTest(
        n=differences.size,
        wins=int((better > 0).sum()),
        ties=int((better == 0).sum()),
        losses=int((better < 0).sum()),
        mean_difference=float(differences.mean()) if differences.size else math.nan,
        mean_interval=difference_interval(first, second),
        shift=shift,
        shift_interval=shift_interval,
        p_value=wilcoxon(differences),
    )


def patient_differences(
    first: Float[np.ndarray, "seed_of_first patient"], second: Float[np.ndarray, "seed_of_second patient"]
) -> Float[np.ndarray, " patient"]:
    """Return first minus second per patient, means over seeds; what differs by rounding only is equal."""
    return np.asarray(np.round(first.mean(axis=0) - second.mean(axis=0), 12))


def wilcoxon(differences: Float[np.ndarray, " patient"]) -> float:
    """Return the two-sided p-value of the signed-rank test, zeros by Pratt; 1 when nothing differs.

    Exact up to 50 patients without ties, and up to 13 with them; no patient gives NaN.

    Source: Pratt 1959, doi:10.1080/01621459.1959.10501526; the numbers are those of `scipy.stats.wilcoxon`, which
    counts the signs of few patients with ties one by one and takes seconds.
    """
    if not differences.any():
        return 1.0 if differences.size else math.nan
    sizes = np.abs(differences)
    if differences.size <= COUNTED_UP_TO and (not sizes.all() or np.unique(sizes).size < sizes.size):
        return _count_signs(differences)
    return float(stats.wilcoxon(differences, zero_method="pratt").pvalue)


def _count_signs(differences: Float[np.ndarray, " patient"]) -> float:
    """The exact two-sided p-value, ties and zeros included, from the number of ways in which ranks sum up."""
    doubled = np.round(2 * stats.rankdata(np.abs(differences))).astype(int)[differences != 0]
    counts = np.ones(1)
    for rank in doubled:
        counts = np.convolve(counts, np.r_[1.0, np.zeros(rank - 1), 1.0])
    positive = int(doubled[differences[differences != 0] > 0].sum())
    tail = min(counts[: positive + 1].sum(), counts[positive:].sum()) / counts.sum()
    return min(1.0, 2 * float(tail))


def hodges_lehmann(differences: Float[np.ndarray, " patient"]) -> tuple[float, Interval]:
    """Return the median of all means of two differences, and its 95 % interval.

    The interval's ends are NaN for fewer than six patients: no set of so few can exclude a value at that level.

    Source: Hodges and Lehmann 1963, doi:10.1214/aoms/1177704172.
    """
    n = differences.size
    if n == 0:
        return math.nan, Interval(low=math.nan, high=math.nan)
    means = np.sort((differences[:, None] + differences[None, :])[np.triu_indices(n)] / 2)
    outside = _means_outside(n)
    if outside < 0:
        return float(np.median(means)), Interval(low=math.nan, high=math.nan)
    return float(np.median(means)), Interval(low=float(means[outside]), high=float(means[-1 - outside]))


def _means_outside(n: int) -> int:
    """How many of the ordered means lie beyond each end of the interval; -1 when there are too few patients."""
    tail = (1 - LEVEL) / 2
    if n > EXACT_UP_TO:
        spread = math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
        return math.floor(n * (n + 1) / 4 + float(stats.norm.ppf(tail)) * spread)
    counts = np.ones(1)
    for rank in range(1, n + 1):  # ways in which ranks 1 to n sum to each value
        counts = np.convolve(counts, np.r_[1.0, np.zeros(rank - 1), 1.0])
    return int(np.searchsorted(np.cumsum(counts) / 2.0**n, tail, side="right")) - 1


def equivalence(differences: Float[np.ndarray, " patient"], *, margin: float) -> float:
    """Return the p-value of two one-sided t-tests that the mean difference lies within plus or minus `margin`.

    A value below 0.05 says that the models are equivalent as far as `margin` matters. Fewer than two patients give
    NaN; differences that are all equal give 0 within the margin and 1 outside.

    Args:
        differences: First minus second, one per patient.
        margin: Largest difference without a meaning, above 0; to be fixed before the scores are seen.

    Source: Schuirmann 1987, doi:10.1007/BF01068419.
    """
    if differences.size < 2:
        return math.nan
    if np.ptp(differences) == 0:
        return float(abs(differences[0]) >= margin)
    above = stats.ttest_1samp(differences, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(differences, margin, alternative="less").pvalue
    return float(max(above, below))
