"""How often a class was told rightly, and whether probabilities mean what they say."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

BINS = 10


def confusion(
    reference: Int[np.ndarray, "case"],
    predicted: Int[np.ndarray, "case"],
    *,
    classes: int,
    weights: Float[np.ndarray, "draw case"] | None = None,
) -> Float[np.ndarray, "draw class class"]:
    """Return how many cases of each class (rows) were taken for which (columns).

    Args:
        reference: Number of each case's class.
        predicted: Number of the class it was taken for.
        classes: How many there are.
        weights: How often each case counts, several times over; None counts each once, in one draw.
    """
    weights = np.ones((1, len(reference))) if weights is None else weights
    belongs = (reference * classes + predicted)[:, None] == np.arange(classes**2)
    return np.asarray(weights @ belongs).reshape(-1, classes, classes)


def sensitivity(table: Float[np.ndarray, "draw class class"]) -> Float[np.ndarray, "draw class"]:
    """Return the share of each class that was found; NaN for a class without cases."""
    return _share(_diagonal(table), table.sum(axis=2))


def specificity(table: Float[np.ndarray, "draw class class"]) -> Float[np.ndarray, "draw class"]:
    """Return the share of all other cases that were not taken for the class; NaN where there are none."""
    others = table.sum(axis=(1, 2))[:, None] - table.sum(axis=2)
    mistaken = table.sum(axis=1) - _diagonal(table)
    return _share(others - mistaken, others)


def f1(table: Float[np.ndarray, "draw class class"]) -> Float[np.ndarray, "draw class"]:
    """Return the harmonic mean of sensitivity and precision of each class; NaN where it neither is nor was told."""
    return _share(2 * _diagonal(table), table.sum(axis=1) + table.sum(axis=2))


def balanced_accuracy(table: Float[np.ndarray, "draw class class"]) -> Float[np.ndarray, "draw"]:
    """Return the mean sensitivity of the classes that have cases; chance is 1 over their number."""
    found = sensitivity(table)
    return np.asarray(np.nansum(found, axis=1) / (~np.isnan(found)).sum(axis=1))


def accuracy(table: Float[np.ndarray, "draw class class"]) -> Float[np.ndarray, "draw"]:
    """Return the share of all cases that was told rightly."""
    return np.asarray(_diagonal(table).sum(axis=1) / table.sum(axis=(1, 2)))


def squared_errors(
    probabilities: Float[np.ndarray, "case class"], reference: Int[np.ndarray, "case"]
) -> Float[np.ndarray, "case"]:
    """Return Brier's score of each case: 0 for certain and right, for two classes 1 for certain and wrong.

    The squares are summed over classes, and halved for two, where both say the same.

    Source: Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.
    """
    classes = probabilities.shape[1]
    wanted = reference[:, None] == np.arange(classes)
    summed = ((probabilities.astype(np.float64) - wanted) ** 2).sum(axis=1)
    return np.asarray(summed / 2 if classes == 2 else summed)


def log_losses(
    probabilities: Float[np.ndarray, "case class"], reference: Int[np.ndarray, "case"]
) -> Float[np.ndarray, "case"]:
    """Return minus the logarithm of the probability that each case's own class was given, at most 20."""
    given = probabilities[np.arange(len(reference)), reference].astype(np.float64)
    return np.asarray(-np.log(np.maximum(given, np.exp(-20.0))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bins:
    """Cases by what was said of them, in equal steps of probability; NaN where a bin is empty.

    Attributes:
        said: Mean probability in each bin.
        happened: Share of the bin's cases for which it came true.
        cases: How many.
    """

    said: Float[np.ndarray, "bin"]
    happened: Float[np.ndarray, "bin"]
    cases: Int[np.ndarray, "bin"]


def calibration_bins(probability: Float[np.ndarray, "case"], came_true: Bool[np.ndarray, "case"]) -> Bins:
    """Return what was said and what happened, in ten bins."""
    cases, said, happened = _binned(probability, came_true, np.ones((1, len(probability))))
    return Bins(said=_share(said, cases)[0], happened=_share(happened, cases)[0], cases=cases[0].astype(np.int64))


def calibration_error(
    probability: Float[np.ndarray, "case"],
    came_true: Bool[np.ndarray, "case"],
    *,
    weights: Float[np.ndarray, "draw case"] | None = None,
) -> Float[np.ndarray, "draw"]:
    """Return the expected calibration error: how far what was said lies from what happened, ten bins, by cases.

    Few cases make it large even of a perfect forecaster, since every bin then holds few.

    Args:
        probability: What was said.
        came_true: Whether it was so.
        weights: As in `confusion`.

    Source: Guo et al. 2017, arXiv:1706.04599.
    """
    weights = np.ones((1, len(probability))) if weights is None else weights
    _, said, happened = _binned(probability, came_true, weights)
    return np.asarray(np.abs(said - happened).sum(axis=1) / weights.sum(axis=1))


def what_was_said(
    probabilities: Float[np.ndarray, "case class"], reference: Int[np.ndarray, "case"]
) -> tuple[Float[np.ndarray, "case"], Bool[np.ndarray, "case"]]:
    """Return the forecast to calibrate: of two classes the second's probability, of more that of the likeliest."""
    if probabilities.shape[1] == 2:
        return probabilities[:, 1], reference == 1
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == reference


def _binned(
    probability: Float[np.ndarray, "case"], came_true: Bool[np.ndarray, "case"], weights: Float[np.ndarray, "draw case"]
) -> tuple[Float[np.ndarray, "draw bin"], Float[np.ndarray, "draw bin"], Float[np.ndarray, "draw bin"]]:
    """Return cases, summed probability and cases that came true, of each bin."""
    number = np.minimum((probability * BINS).astype(int), BINS - 1)
    belongs = (number[:, None] == np.arange(BINS)).astype(np.float64)
    return weights @ belongs, weights @ (belongs * probability[:, None]), weights @ (belongs * came_true[:, None])


def _diagonal(table: Float[np.ndarray, "draw class class"]) -> Float[np.ndarray, "draw class"]:
    return np.asarray(table.diagonal(axis1=1, axis2=2))


def _share(part: Float[np.ndarray, "*some"], whole: Float[np.ndarray, "*some"]) -> Float[np.ndarray, "*some"]:
    return np.asarray(np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0))
