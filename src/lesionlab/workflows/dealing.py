"""Draw patients for a share or for folds, so that sites and lesion loads are alike in all of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lesionlab.core.case import Case
from lesionlab.core.errors import SplitError

NNUNET_SEED = 12345


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What must stay together, and what it is like.

    Attributes:
        group: As in `Case`.
        site: Of the first case.
        category: Of the first case; empty where there is none.
        load_ml: Mean lesion volume of the cases with a mask; 0 without.
        cases: All of them.
    """

    group: str
    site: str
    category: str
    load_ml: float
    cases: tuple[Case, ...]

    @property
    def is_set_aside(self) -> bool:
        """Whether the dataset itself has a case for validation or test, and not by a fold, which may be drawn anew."""
        return any(case.split in ("validation", "test") and not case.split_by_fold for case in self.cases)


def draw_share(patients: Sequence[Patient], share: float, *, generator: np.random.Generator) -> set[str]:
    """Draw a share of the patients, evenly over sites and loads: every nth of the sorted ones from a random start.

    Raises:
        SplitError: The share leaves nobody on one of the two sides.
    """
    count = round(share * len(patients))
    if not 0 < count < len(patients):
        raise SplitError(
            f"at least one patient in and one outside a share of {share:g}",
            found=f"{len(patients)} patients",
            where="share",
            next_step="choose another share, or add patients",
        )
    positions = ((generator.random() + np.arange(count)) * len(patients) / count).astype(int)
    ordered = _in_order(patients, generator)
    return {ordered[position].group for position in positions.tolist()}


def deal_folds(patients: Sequence[Patient], folds: int, *, generator: np.random.Generator) -> dict[str, int]:
    """Return the fold of each case: of every `folds` neighbours in the sorted patients, one goes to each fold.

    Raises:
        SplitError: There are fewer patients than folds.
    """
    _check_enough(len(patients), folds, what="patients")
    ordered = _in_order(patients, generator)
    dealt = [fold for _ in range(0, len(ordered), folds) for fold in generator.permutation(folds).tolist()]
    return {case.id: fold for patient, fold in zip(ordered, dealt, strict=False) for case in patient.cases}


def site_folds(patients: Sequence[Patient]) -> dict[str, int]:
    """Return the fold of each case: one per site, in alphabetical order.

    Raises:
        SplitError: There is one site only, or a case without.
    """
    sites = sorted({case.site for patient in patients for case in patient.cases})
    if len(sites) < 2 or "" in sites:
        raise SplitError(
            "at least two sites, one for each case",
            found=", ".join(site or "cases without a site" for site in sites),
            where="--kind site",
            next_step="choose another kind; this layout may not know sites",
        )
    return {case.id: sites.index(case.site) for patient in patients for case in patient.cases}


def nnunet_folds(patients: Sequence[Patient], folds: int) -> dict[str, int]:
    """Return the fold of each case as nnU-Net draws them: scikit-learn's shuffled KFold over sorted ids.

    Patients do not count there.

    Raises:
        SplitError: There are fewer cases than folds.

    Source: nnU-Net's generate_crossval_split, Isensee et al. 2021, doi:10.1038/s41592-020-01008-z.
    """
    names = sorted(case.id for patient in patients for case in patient.cases)
    _check_enough(len(names), folds, what="cases")
    order = np.arange(len(names))
    np.random.RandomState(NNUNET_SEED).shuffle(order)
    parts = np.array_split(order, folds)
    return {names[position]: fold for fold, part in enumerate(parts) for position in part.tolist()}


def check_official(patients: Sequence[Patient]) -> None:
    """Refuse patients of whom the dataset's authors did not say where they belong.

    Raises:
        SplitError: There is one.
    """
    without = [case.id for patient in patients for case in patient.cases if case.split is None]
    if without:
        raise SplitError(
            "a part for every case, given by the dataset's authors",
            found=f"none for {len(without)}: {', '.join(without[:8])}",
            where="--kind official",
            next_step="choose another kind; this layout may have no official split",
        )


def _in_order(patients: Sequence[Patient], generator: np.random.Generator) -> list[Patient]:
    """Return patients sorted by site, category and load, equal ones shuffled: neighbours are alike."""
    shuffled = [patients[position] for position in generator.permutation(len(patients))]
    return sorted(shuffled, key=lambda patient: (patient.site, patient.category, patient.load_ml))


def _check_enough(count: int, folds: int, *, what: str) -> None:
    if count < folds:
        raise SplitError(
            f"at least {folds} {what} for {folds} folds",
            found=str(count),
            where="--folds",
            next_step="choose fewer folds",
        )
