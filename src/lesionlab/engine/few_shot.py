"""Shorter lists of training cases, to learn what more labels are worth."""

from collections.abc import Sequence

import numpy as np

from lesionlab.core.case import Case
from lesionlab.core.errors import OptionError
from lesionlab.engine.categories import by_patients


def take_fraction(cases: Sequence[Case], fraction: float, *, seed: int) -> tuple[Case, ...]:
    """Return the cases of a share of the patients: of every category alike, at least one patient of each.

    With one seed, the list of a smaller share is always part of that of a larger one.

    Args:
        cases: Training cases; those without category are of one kind.
        fraction: Above 0; 1 takes all.
        seed: Of the draw.

    Raises:
        OptionError: The fraction is not above 0 and at most 1.
    """
    if not 0 < fraction <= 1:
        raise OptionError(
            "a share of the training patients above 0 and at most 1",
            found=f"{fraction:g}",
            where="--fraction",
            next_step="write 0.1 for 10 %",
        )
    kept: set[str] = set()
    for number, patients in enumerate(by_patients(cases).values()):
        order = np.random.default_rng([seed, 3, number]).permutation(patients)
        kept.update(order[: max(1, round(fraction * len(patients)))].tolist())
    return tuple(case for case in cases if case.group in kept)
