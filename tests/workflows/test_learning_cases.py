"""No verb that learns takes a case which any source sets aside, in whatever mixture of sources."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lesionlab.losses
import lesionlab.networks
import lesionlab.transforms  # noqa: F401  # these three register what a recipe may name
from lesionlab.core.errors import LesionlabError
from lesionlab.core.recipe import Recipe, read_recipe
from lesionlab.workflows.division import open_divided
from lesionlab.workflows.training_data import choose_cases

CELLS = st.sampled_from(["", "", "training", "validation", "test", "sealed"])
ROWS = st.one_of(
    st.none(),
    st.tuples(st.sampled_from(["training", "validation", "test", "sealed"]), st.just("")),
    st.tuples(st.just("training"), st.sampled_from(["0", "1"])),
)


@pytest.fixture(scope="module")
def recipe(tiny_recipe: str) -> Recipe:
    return read_recipe(tiny_recipe)


@given(st.lists(st.tuples(CELLS, ROWS), min_size=3, max_size=8), st.sampled_from([None, 0, 1]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_training_holds_nothing_that_is_set_aside(
    recipe: Recipe, cases: list[tuple[str, tuple[str, str] | None]], fold: int | None, has_file: bool
):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "scan.nii").touch()
        rows = [f"p{n},{cell},scan.nii,scan.nii,scan.nii" for n, (cell, _) in enumerate(cases)]
        (folder / "cases.csv").write_text("\n".join(["id,split,label,flair,t1", *rows]))
        lines = [f"p{n},{row[1]},{row[0]}" for n, (_, row) in enumerate(cases) if row is not None]
        (folder / "split.txt").write_text("\n".join(["id,fold,part", *lines]))
        try:
            _, layout = open_divided(
                f"table:{folder}", folder / "split.txt" if has_file else None, fold=fold if has_file else None
            )
            data = choose_cases(recipe, layout, where="data")
        except LesionlabError:
            return  # refused: nothing is learned at all
    training, validation = ({case.id for case in own} for own in (data.training, data.validation))
    for number, (cell, row) in enumerate(cases):
        words = {cell, row[0] if row and has_file else ""}
        in_fold = has_file and row is not None and fold is not None and row[1] == str(fold)
        if words & {"test", "sealed"} or (has_file and row is None):
            assert f"p{number}" not in training | validation
        elif "validation" in words or in_fold:
            assert f"p{number}" not in training
