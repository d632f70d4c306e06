"""Which split a case is in: of several sources the strictest, whatever folders, lists, folds, tables or files say."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias, TypedDict

from lesionlab.core.case import Case, Split
from lesionlab.core.errors import LayoutError, SplitError

Part: TypeAlias = Literal["training", "validation", "test", "sealed"]

STRICTNESS: tuple[Part, ...] = ("training", "validation", "test", "sealed")
"""From what everything may be learned to what may be looked at last: a sealed case is a test case that is counted."""

NAMED = 8
"""How many cases a message names."""


class SplitFields(TypedDict):
    """The fields of a `Case` that say its split."""

    split: Split | None
    is_sealed: bool
    split_by_fold: bool


def strictest(splits: Iterable[Part | None]) -> Part | None:
    """Return the strictest of several splits; None where no source says anything."""
    return max((split for split in splits if split is not None), key=STRICTNESS.index, default=None)


def settle_splits(
    sources: Mapping[str, Mapping[str, Part | None]], *, where: str | Path, next_step: str = ""
) -> dict[str, Part | None]:
    """Return the split of every case: the strictest that a source gives it.

    Sources are listed from the most general (the folder) to the most particular (the user's own file). A later one may
    be stricter than those before it, and so set a case aside; it may not take back what an earlier one set aside.

    Args:
        sources: Case id -> name of the source -> what it says; None where it says nothing.
        where: The dataset or file, for messages.
        next_step: What to do about a contradiction.

    Raises:
        SplitError: A later source would take back what an earlier one set aside; both are named, with the cases.
    """
    contradictions: dict[str, list[str]] = {}
    for case_id, named in sources.items():
        given = [(name, split) for name, split in named.items() if split is not None]
        for place, (name, split) in enumerate(given):
            held, by = max(((earlier, by) for by, earlier in given[:place]), key=_strictness, default=(split, name))
            if STRICTNESS.index(held) > STRICTNESS.index(split):
                contradictions.setdefault(f"{held} by {by} but {split} by {name}", []).append(case_id)
    if contradictions:
        kind, ids = next(iter(contradictions.items()))
        raise SplitError(
            "one split for every case",
            found=f"{kind}: {name_cases(ids)}",
            where=where,
            next_step=next_step or "correct one of the two: what is set aside for a later step stays set aside",
        )
    return {case_id: strictest(named.values()) for case_id, named in sources.items()}


def part_of(case: Case) -> Part | None:
    """Return the split of a case, "sealed" for a sealed one."""
    return "sealed" if case.is_sealed else case.split


def split_fields(part: Part | None, *, by_fold: bool = False) -> SplitFields:
    """Return the fields of a `Case` that say its split: a sealed case is a test case, too.

    Args:
        part: None where nothing says it.
        by_fold: Whether a fold of the dataset's own said what is for training and for validation.
    """
    is_held_out = part in ("test", "sealed")
    return {
        "split": "test" if part == "sealed" else part,
        "is_sealed": part == "sealed",
        "split_by_fold": by_fold and not is_held_out,
    }


def learning_cases(cases: Sequence[Case], *, where: str | Path) -> tuple[Case, ...]:
    """Return the cases that weights may be fitted to or chosen by: no test case, and none outside the chosen fold.

    Raises:
        SplitError: A patient is in two splits.
    """
    check_patients(((case.id, case.group, case.split or "training") for case in cases if not _is_left_out(case)),
                   what="split", where=where)  # fmt: skip
    return tuple(case for case in cases if case.split != "test" and not _is_left_out(case))


def test_cases(cases: Iterable[Case]) -> tuple[Case, ...]:
    """Return the cases that nothing may be learned from, sealed ones among them."""
    return tuple(case for case in cases if case.split == "test")


def select_split(cases: Iterable[Case], split: Split | None, *, where: str | Path) -> tuple[Case, ...]:
    """Return the cases of one split, sealed ones among the test cases; all cases where None is asked for.

    Raises:
        LayoutError: There is no such case; the message says which splits there are.
    """
    everything = tuple(cases)
    selected = tuple(case for case in everything if split in (None, case.split))
    if not selected:
        counts = Counter(case.split or "without a split" for case in everything)
        there_are = ", ".join(f"{count} {name}" for name, count in counts.items()) or "no case at all"
        raise LayoutError(
            f"cases of split {split}",
            found=f"none; the dataset has {there_are}",
            where=where,
            next_step="choose another --split, or leave it out",
        )
    return selected


def check_patients(places: Iterable[tuple[str, str, str]], *, what: str, where: str | Path) -> None:
    """Refuse a patient whose cases are in two places.

    Args:
        places: Case id, patient and place of every case.
        what: "split" or "fold", for the message.
        where: The dataset or file, for the message.

    Raises:
        SplitError: One is.
    """
    of_patient: dict[str, dict[str, str]] = {}
    for case_id, patient, place in places:
        of_patient.setdefault(patient, {}).setdefault(place, case_id)
    shared = {patient: ids for patient, ids in of_patient.items() if len(ids) > 1}
    if shared:
        patient, ids = next(iter(shared.items()))
        raise SplitError(
            f"every patient in one {what}",
            found=f"patient {patient} in {' and '.join(ids)} (cases {', '.join(ids.values())})",
            where=where,
            next_step=f"give all cases of a patient one {what}",
        )


def name_cases(ids: Sequence[str]) -> str:
    """Return the first ids, and how many more there are, for a message."""
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    return ", ".join(ids[:NAMED]) + more


def _is_left_out(case: Case) -> bool:
    """Return whether the dataset has folds and the case is in neither list of the chosen one."""
    return case.split is None and case.split_by_fold


def _strictness(held: tuple[Part, str]) -> int:
    return STRICTNESS.index(held[0])
