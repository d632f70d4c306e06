"""The one-standard-error rule: of settings that validation cases cannot tell apart, the one that changes least."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lesionlab.core.postprocessing import Postprocessing

logger = logging.getLogger(__name__)

STANDARD_ERROR = "standard_error_of_difference_from_best"
"""Head of the column of a table of scores."""

FEWEST_CASES = 5
"""With fewer validation cases a choice is said to be uncertain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which setting was chosen, and how far every other is from the best.

    Attributes:
        place: Of the chosen setting among the candidates.
        best: Of the one with the highest score.
        standard_errors: Of each candidate's difference from the best, paired over cases; NaN with one case.
    """

    place: int
    best: int
    standard_errors: Float[np.ndarray, "candidate"]


def choose_setting(
    candidates: Sequence[Postprocessing],
    scores: Float[np.ndarray, "candidate"],
    leave_one_out: Float[np.ndarray, "case candidate"],
) -> Choice:
    """Return the setting that changes least among those that are not distinguishable from the best.

    A setting is distinguishable when the best one's score is higher by more than the standard error of their
    difference. That is the jackknife's over cases, each left out once: of a mean over cases, the standard error of the
    mean of paired differences. Where it is not defined, as with one case, nothing is distinguishable. Among the others
    the threshold nearest to 0.5 wins, then the smallest lesion nearest to 0, then the higher score.

    Args:
        candidates: The settings.
        scores: Of each on all cases; higher is better.
        leave_one_out: The same without one case at a time; NaN where a score is not defined.

    Source: Breiman et al. 1984, Classification and Regression Trees, section 3.4.3 (the 1 SE rule); Efron and Stein
        1981, doi:10.1214/aos/1176345462 (the jackknife).
    """
    cases = len(leave_one_out)
    best = int(scores.argmax())
    behind = scores[best] - scores
    differences = leave_one_out[:, [best]] - leave_one_out
    spread = np.square(differences - differences.mean(axis=0)).sum(axis=0)
    errors = np.sqrt((cases - 1) / cases * spread) if cases > 1 else np.full(len(scores), np.nan)
    alike = [place for place in range(len(scores)) if not behind[place] > errors[place]]
    place = min(alike, key=lambda place: (*_change(candidates[place]), -scores[place]))
    return Choice(place=place, best=best, standard_errors=errors)


def leave_one_out_means(scores: Float[np.ndarray, "case candidate"]) -> Float[np.ndarray, "case candidate"]:
    """Return the mean score of every candidate without each case in turn; NaN where there is one case only."""
    cases = len(scores)
    if cases == 1:
        return np.full_like(scores, np.nan)
    return np.asarray((scores.sum(axis=0) - scores) / (cases - 1))


def describe_choice(choice: Choice, scores: Float[np.ndarray, "candidate"], *, score: str, cases: str) -> str:
    """Return in a few words why a setting was chosen, for the checkpoint and its model card."""
    if choice.place == choice.best:
        return f"highest {score} of {cases}"
    highest = f"the highest {score} ({scores[choice.best]:.3f}) of {cases}"
    return f"least change among settings within one standard error of {highest}"


def warn_of_choice(
    choice: Postprocessing,
    *,
    cases: int,
    thresholds: Sequence[float],
    smallest_lesions_mm3: Sequence[float],
    size_unit: str = "mm3",
) -> None:
    """Say in one line each that validation cases are few, and that a choice lies at the border of its candidates.

    Args:
        choice: The setting.
        cases: How many validated.
        thresholds: Candidates.
        smallest_lesions_mm3: Candidates; of pictures in pixels.
        size_unit: In which they are told.
    """
    if cases == 1:
        logger.warning("one validation case cannot tell settings apart: the one that changes least was chosen")
    elif cases < FEWEST_CASES:
        logger.warning("only %d validation cases: the choice is uncertain and may not hold for other scans", cases)
    borders: dict[str, Callable[[], bool]] = {
        f"threshold {choice.threshold:g}": lambda: (
            len(thresholds) > 1 and choice.threshold in (min(thresholds), max(thresholds))
        ),
        f"smallest lesion {choice.smallest_lesion_mm3:g} {size_unit}": lambda: (
            len(smallest_lesions_mm3) > 1 and choice.smallest_lesion_mm3 == max(smallest_lesions_mm3)
        ),
    }
    for name, is_at_border in borders.items():
        if is_at_border():
            logger.warning("the %s is the last one that was tried: look at the picture of all scores", name)


def _change(candidate: Postprocessing) -> tuple[float, float]:
    """Return how far a setting is from 0.5 and 0 mm3; rounded, so that 0.45 and 0.55 are equally far."""
    return round(abs(candidate.threshold - 0.5), 9), candidate.smallest_lesion_mm3
