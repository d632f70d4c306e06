"""No source of a split makes a case less strict than another, and no verb learns from what is set aside."""

from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlab.core.case import Case
from lesionlab.core.errors import LayoutError, SplitError
from lesionlab.core.split import SplitRow, SplitTable, divide
from lesionlab.core.split_rule import (
    STRICTNESS,
    Part,
    learning_cases,
    part_of,
    select_split,
    settle_splits,
    split_fields,
    strictest,
)

PARTS = st.sampled_from([None, *STRICTNESS])
SOURCES = st.dictionaries(st.sampled_from(["folder", "list", "fold", "table", "split file"]), PARTS)
ROWS = st.one_of(
    st.tuples(st.sampled_from(STRICTNESS), st.none()), st.tuples(st.just("training"), st.integers(0, 2))
)  # part and fold


def case(name: str, part: Part | None = None, *, by_fold: bool = False, group: str = "") -> Case:
    return Case(
        id=name, images={}, label=Path("mask.nii"), group=group or name, **split_fields(part, by_fold=by_fold)
    )  # fmt: skip


def rank(part: Part | None) -> int:
    return -1 if part is None else STRICTNESS.index(part)


@given(st.dictionaries(st.sampled_from("abcd"), SOURCES))
def test_a_split_is_never_less_strict_than_any_source(sources: dict[str, dict[str, Part | None]]):
    ranks = [[rank(part) for part in named.values() if part is not None] for named in sources.values()]
    takes_back = any(given != sorted(given) for given in ranks)
    if takes_back:
        with pytest.raises(SplitError, match=r"one split for every case; found \w+ by .+ but \w+ by .+: [abcd]"):
            settle_splits(sources, where="here")
        return
    settled = settle_splits(sources, where="here")
    assert settled.keys() == sources.keys()
    for name, part in settled.items():
        assert part == strictest(sources[name].values())
        assert all(rank(part) >= rank(split) for split in sources[name].values())


@given(
    declared=st.lists(st.tuples(PARTS, st.booleans()), min_size=1, max_size=6),
    rows=st.lists(ROWS, min_size=6, max_size=6),
    fold=st.sampled_from([None, 0, 1, 2]),
)
def test_a_split_file_sets_aside_and_never_takes_back(
    declared: list[tuple[Part | None, bool]], rows: list[tuple[Part, int | None]], fold: int | None
):
    cases = [case(str(number), part, by_fold=by_fold) for number, (part, by_fold) in enumerate(declared)]
    table = SplitTable(
        rows=tuple(
            SplitRow(id=one.id, group=one.group, site="", part=part, fold=own)
            for one, (part, own) in zip(cases, rows, strict=False)
        )
    )
    takes_back = any(
        rank(part_of(one)) > rank("validation" if fold is not None and row.fold == fold else row.part)
        for one, row in zip(cases, table.rows, strict=True)
        if not one.split_by_fold
    )
    if takes_back or (fold is not None and fold not in table.folds):
        with pytest.raises(SplitError, match=r"a fold|one split"):
            divide(cases, table, where="split.csv", fold=fold)
        return
    divided = divide(cases, table, where="split.csv", fold=fold)
    for before, row, after in zip(cases, table.rows, divided, strict=True):
        assert rank(part_of(after)) >= rank(row.part)
        assert before.split_by_fold or rank(part_of(after)) >= rank(part_of(before))
        assert (after.split == "validation") >= (fold is not None and row.fold == fold)
    learned = learning_cases(divided, where="split.csv")
    assert {one.id for one in learned} == {row.id for row in table.rows if row.part in ("training", "validation")}


@given(st.lists(st.tuples(PARTS, st.booleans(), st.integers(0, 4))))
def test_what_is_set_aside_is_not_learned_from(parts: list[tuple[Part | None, bool, int]]):
    cases = [case(str(n), part, by_fold=by_fold, group=f"p{p}") for n, (part, by_fold, p) in enumerate(parts)]
    used = [one for one in cases if one.split is not None or not one.split_by_fold]
    places = defaultdict(set)
    for one in used:
        places[one.group].add(one.split or "training")
    if any(len(own) > 1 for own in places.values()):
        with pytest.raises(SplitError, match="every patient in one split; found patient p"):
            learning_cases(cases, where="here")
        return
    assert learning_cases(cases, where="here") == tuple(one for one in used if one.split != "test")


@pytest.mark.parametrize("part", [None, *STRICTNESS])
def test_a_case_keeps_its_split(part: Part | None):
    assert part_of(case("a", part)) == part


def test_sealed_cases_are_test_cases():
    cases = (case("a", "sealed"), case("b", "test"), case("c", "training"))
    assert select_split(cases, "test", where="here") == cases[:2]
    assert select_split(cases, None, where="here") == cases


def test_a_split_that_the_dataset_does_not_have():
    cases = (case("a", "training"), case("b", "training"), case("c"))
    with pytest.raises(
        LayoutError, match="split test; found none; the dataset has 2 training, 1 without a split; in ab"
    ):
        select_split(cases, "test", where="ab")
