"""A plan comes back from its file as it was, or is refused."""

import json

import pytest
from tiny_training import RECIPE

from lesionlab.core.errors import CheckpointError
from lesionlab.core.plan import PLAN_VERSION, Fingerprint, Plan, parse_plan
from lesionlab.core.recipe import parse_recipe, tomllib

PLAN = Plan(
    recipe=parse_recipe(tomllib.loads(RECIPE), where="here"),
    regions={"wt": (1, 2, 4), "et": (4,)},
    ignored=(9,),
    layout="l",
    training_cases=("a",),
    validation_cases=("b",),
    fingerprint=Fingerprint(
        cases=1, median_shape=(1, 2, 3), median_spacing_mm=(1, 1, 0.1), slices=3, lesion_slices=1,
        median_lesion_volume_ml=1 / 3,
    ),
    steps_per_epoch=2,
    total_steps=6,
    validate_every=2,
)  # fmt: skip


def test_round_trip():
    assert parse_plan(PLAN.model_dump_json(), where="here") == PLAN


def test_labels_are_those_of_the_plan():
    assert PLAN.labels.names == ("wt", "et")
    assert PLAN.labels.regions["wt"] == {1, 2, 4}
    assert PLAN.labels.ignored == {9}


@pytest.mark.parametrize(
    ("changes", "found"),
    [({"version": PLAN_VERSION + 1}, "version"), ({"stranger": 1}, "stranger"), ({"layout": None}, "layout")],
)
def test_another_version_is_refused(changes: dict[str, object], found: str):
    text = json.dumps(json.loads(PLAN.model_dump_json()) | changes)
    with pytest.raises(CheckpointError, match=f"a plan of version {PLAN_VERSION}; found {found}: .*; in here"):
        parse_plan(text, where="here")


@pytest.mark.parametrize("text", ["", "[]", "{}", "\x00"])
def test_no_plan_at_all_is_refused(text: str):
    with pytest.raises(CheckpointError) as caught:
        parse_plan(text, where="here")
    assert "\n" not in str(caught.value)
