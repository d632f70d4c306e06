"""Everything that is said about one metric of several models."""

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float

from lesionlab.core.interval import Interval, mean_interval
from lesionlab.statistics.multiple import FriedmanTest, friedman, holm
from lesionlab.statistics.paired import PairedTest, compare_pair, equivalence, patient_differences
from lesionlab.statistics.power import detectable_difference
from lesionlab.statistics.ranking import Ranking, rank_models
from lesionlab.statistics.score_table import ScoreTable

SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelScore:
    """One model's scores in short.

    Attributes:
        model: Its name.
        n: Patients.
        mean: Over patients and seeds; NaN without patients.
        interval: The 95 % bootstrap interval of the mean over patients.
        median: Over patients, of means over seeds.
        sd: Sample standard deviation over patients; NaN for fewer than two.
        seeds: How many trainings.
        seed_sd: Sample standard deviation of the trainings' means; NaN for fewer than two.
        penalised: Scores that were undefined and count as the worst.
    """

    model: str
    n: int
    mean: float
    interval: Interval
    median: float
    sd: float
    seeds: int
    seed_sd: float
    penalised: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two models compared.

    Attributes:
        first: Name of the first.
        second: Name of the second.
        test: Differences are first minus second.
        adjusted_p_value: Of Wilcoxon's test, by Holm's rule over all pairs of this metric.
        equivalence_p_value: Of the two one-sided tests; NaN where no margin was given.
        detectable: Mean difference that would have been found with 80 % power.
    """

    first: str
    second: str
    test: PairedTest
    adjusted_p_value: float
    equivalence_p_value: float
    detectable: float

    @property
    def is_significant(self) -> bool:
        """Whether the models differ at 5 % after adjustment."""
        return self.adjusted_p_value < SIGNIFICANT


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One metric of two or more models.

    Attributes:
        table: The scores.
        models: One per model, in the order of the table.
        pairs: Every two models once.
        friedman: Of three or more models; None for two.
        rankings: By four rules.
        margin: Largest difference without a meaning; NaN where none was given.
    """

    table: ScoreTable
    models: tuple[ModelScore, ...]
    pairs: tuple[Pair, ...]
    friedman: FriedmanTest | None
    rankings: tuple[Ranking, ...]
    margin: float

    @property
    def test_words(self) -> str:
        """The test of the pairs, and the correction where there are several."""
        return "Wilcoxon, Holm" if len(self.pairs) > 1 else "Wilcoxon"

    def pair(self, first: str, second: str) -> Pair:
        """Return the pair of two models, in whichever order it was compared."""
        return next(pair for pair in self.pairs if {pair.first, pair.second} == {first, second})


def compare_models(table: ScoreTable, *, margin: float = math.nan) -> Comparison:
    """Compare every two models of a table.

    Args:
        table: At least two models and one patient.
        margin: For the tests of equivalence, in the metric's unit; NaN for none.
    """
    names = list(table.scores)
    together = list(combinations(names, 2))
    tests = [
        compare_pair(table.scores[first], table.scores[second], is_higher_better=table.is_higher_better)
        for first, second in together
    ]
    adjusted = holm([test.p_value for test in tests])
    pairs = []
    for (first, second), test, p_value in zip(together, tests, adjusted, strict=True):
        differences = patient_differences(table.scores[first], table.scores[second])
        pair = Pair(
            first=first,
            second=second,
            test=test,
            adjusted_p_value=p_value,
            equivalence_p_value=math.nan if math.isnan(margin) else equivalence(differences, margin=margin),
            detectable=detectable_difference(differences),
        )
        pairs.append(pair)
    return Comparison(
        table=table,
        models=summarise_models(table),
        pairs=tuple(pairs),
        friedman=friedman(table.matrix) if len(names) > 2 else None,
        rankings=rank_models(table.matrix, is_higher_better=table.is_higher_better),
        margin=margin,
    )


def summarise_models(table: ScoreTable) -> tuple[ModelScore, ...]:
    """Return each model's scores in short, in the order of the table."""
    return tuple(_summarise(model, rows, penalised=table.penalised[model]) for model, rows in table.scores.items())


def _summarise(model: str, rows: Float[np.ndarray, "seed patient"], *, penalised: int) -> ModelScore:
    patients = rows.mean(axis=0)
    n = patients.size
    return ModelScore(
        model=model,
        n=n,
        mean=float(patients.mean()) if n else math.nan,
        interval=mean_interval(patients.tolist()),
        median=float(np.median(patients)) if n else math.nan,
        sd=float(patients.std(ddof=1)) if n > 1 else math.nan,
        seeds=len(rows),
        seed_sd=float(rows.mean(axis=1).std(ddof=1)) if len(rows) > 1 and n else math.nan,
        penalised=penalised,
    )
