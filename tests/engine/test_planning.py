"""Patients are divided, never visits; test cases are in no part; steps add up."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_training import RECIPE, write_case

import lesionlab.losses
import lesionlab.networks
import lesionlab.transforms  # noqa: F401 - these three register what the recipe names
from lesionlab.core.case import Case, Split
from lesionlab.core.errors import LayoutError, NameUnknownError, OptionError, SplitError
from lesionlab.core.labels import LESION
from lesionlab.core.recipe import Recipe, parse_recipe, tomllib
from lesionlab.engine.planning import complete, divide_cases, measure, resolve
from lesionlab.engine.store import StoredCase, store_cases


def recipe_of(**sections: dict[str, object]) -> Recipe:
    content = tomllib.loads(RECIPE)
    for name, section in sections.items():
        content[name] = {**content.get(name, {}), **section}
    return parse_recipe(content, where="test")


def case_of(number: int, *, group: str = "", split: Split | None = None, has_mask: bool = True) -> Case:
    label = Path("mask.nii") if has_mask else None
    return Case(id=str(number), images={}, label=label, group=group or str(number), split=split)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=20), st.floats(0.05, 0.95), st.integers(0, 5))
def test_visits_of_a_patient_stay_together(patients: list[int], share: float, seed: int):
    cases = [case_of(number, group=f"p{patient}") for number, patient in enumerate(patients)]
    recipe = recipe_of(validation={"share": share}, training={"seed": seed})
    if len(set(patients)) < 2:
        with pytest.raises(LayoutError, match="two patients"):
            divide_cases(cases, recipe, where="here")
        return
    training, validation = divide_cases(cases, recipe, where="here")
    assert sorted(case.id for case in (*training, *validation)) == sorted(case.id for case in cases)
    assert not {case.group for case in training} & {case.group for case in validation}
    wanted = min(len(set(patients)) - 1, max(1, round(share * len(set(patients)))))
    assert len({case.group for case in validation}) == wanted
    assert divide_cases(list(reversed(cases)), recipe, where="here")[1] == tuple(reversed(validation))


def test_another_seed_is_another_division():
    cases = [case_of(number) for number in range(20)]
    parts = [divide_cases(cases, recipe_of(training={"seed": seed}), where="")[1] for seed in range(5)]
    assert len({tuple(case.id for case in part) for part in parts}) == 5


def test_test_cases_and_cases_without_mask_are_in_no_part():
    cases = [case_of(number, split="test" if number < 3 else None, has_mask=number != 4) for number in range(9)]
    training, validation = divide_cases(cases, recipe_of(), where="here")
    assert {case.id for case in (*training, *validation)} == {"3", "5", "6", "7", "8"}


def test_the_layout_s_own_validation_split_is_used():
    cases = [case_of(number, split="validation" if number > 5 else "training") for number in range(8)]
    training, validation = divide_cases(cases, recipe_of(), where="here")
    assert [case.id for case in validation] == ["6", "7"]
    assert len(training) == 6


def test_one_patient_in_both_splits_is_refused():
    cases = [case_of(0, group="p", split="training"), case_of(1, group="p", split="validation")]
    with pytest.raises(SplitError, match="patient p in training and validation"):
        divide_cases(cases, recipe_of(), where="here")


def test_a_patient_in_training_and_test_is_refused():
    cases = [*map(case_of, range(4)), case_of(5, group="2", split="test", has_mask=False)]
    with pytest.raises(SplitError, match=r"patient 2 in training and test \(cases 2, 5\)"):
        divide_cases(cases, recipe_of(), where="here")


def test_a_declared_validation_set_without_masks_is_not_replaced():
    cases = [*map(case_of, range(4)), case_of(5, split="validation", has_mask=False)]
    with pytest.raises(LayoutError, match=r"for validation; found none of 1: 5; in here"):
        divide_cases(cases, recipe_of(), where="here")


def test_validation_alone_is_refused():
    with pytest.raises(LayoutError, match="add training cases"):
        divide_cases([case_of(0, split="validation")], recipe_of(), where="here")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[StoredCase, ...]:
    folder = tmp_path_factory.mktemp("stored")
    cases = []
    for number in range(3):
        path = write_case(folder / str(number), seed=number)
        images = {"flair": path / "pre" / "FLAIR.nii.gz", "t1": path / "pre" / "T1.nii.gz"}
        cases.append(Case(id=str(number), images=images, label=path / "wmh.nii.gz", group=str(number)))
    settings = recipe_of().preprocessing
    return store_cases(cases, folder / "store", modalities=("flair", "t1"), settings=settings, labels=LESION)


def test_the_fingerprint_is_measured(stored: tuple[StoredCase, ...]):
    found = measure(stored[:1], LESION)
    label = stored[0].label()
    assert (found.cases, found.slices) == (1, label.shape[2])
    assert found.lesion_slices == int(label.any(axis=(0, 1)).sum())
    assert found.median_shape == label.shape
    assert found.median_spacing_mm == pytest.approx((1.0, 1.1, 3.0))
    assert found.median_lesion_volume_ml == pytest.approx(label.sum() * 3.3 / 1000)


@pytest.mark.parametrize(("training", "steps"), [({"steps": 7}, 7), ({"steps": None, "epochs": 3}, None)])
def test_steps_add_up(stored: tuple[StoredCase, ...], training: dict[str, object], steps: int | None):
    recipe = recipe_of(training=training, sampling={"factor": 2, "bonus": 0}, validation={"every": 2})
    plan = resolve(recipe, LESION, layout="wmh2017", training=stored[:2], validation=stored[2:])
    found = plan.fingerprint
    epoch = -(-(found.slices + found.lesion_slices) // 4)
    assert plan.steps_per_epoch == epoch
    assert plan.total_steps == (steps or 3 * epoch)
    assert plan.validate_every == min(plan.total_steps, 2 * epoch)
    assert (plan.training_cases, plan.validation_cases) == (("0", "1"), ("2",))


def test_a_plan_has_every_default_filled(stored: tuple[StoredCase, ...]):
    recipe = resolve(recipe_of(), LESION, layout="l", training=stored[:2], validation=stored[2:]).recipe
    assert recipe.network.options["window"] == 8
    assert recipe.loss.options["boundary_weight"] == 1.0
    assert recipe.augmentation.options["flip"] == 0.5
    assert "modalities" not in recipe.network.options


def test_wrong_names_and_options_are_refused_before_any_work():
    with pytest.raises(NameUnknownError, match="did you mean 'synapse_net'"):
        complete(recipe_of(network={"name": "synapse_nett", "options": {}}), LESION)
    with pytest.raises(OptionError, match="did you mean 'heads'"):
        complete(recipe_of(network={"options": {"head": 2}}), LESION)
    with pytest.raises(OptionError, match=r"widths: 5 values; found 2 \(\[8, 8\]\)"):
        complete(recipe_of(network={"options": {"widths": [8, 8]}}), LESION)


def test_a_training_without_any_lesion_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    for number in range(2):
        folder = write_case(tmp_path / str(number), seed=number)
        mask = nibabel.load(folder / "wmh.nii.gz")
        nibabel.save(nibabel.Nifti1Image(np.zeros(mask.shape, np.uint8), mask.affine), folder / "wmh.nii.gz")
    cases = [
        Case(
            id=str(number),
            images={"flair": tmp_path / f"{number}/pre/FLAIR.nii.gz", "t1": tmp_path / f"{number}/pre/T1.nii.gz"},
            label=tmp_path / f"{number}/wmh.nii.gz",
            group=str(number),
        )
        for number in range(2)
    ]
    recipe = recipe_of()
    stored = store_cases(
        cases, tmp_path / "store", modalities=recipe.modalities, settings=recipe.preprocessing, labels=LESION
    )
    resolve(recipe, LESION, layout="wmh2017", training=stored[:1], validation=stored[1:])
    assert "no lesion in any of the 1 training cases" in caplog.text
    assert "no lesion in any of the 1 validation cases" in caplog.text
