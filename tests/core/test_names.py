"""Names that become part of file names, at every entry through which a received file brings them in."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lesionlab.core.case import Case
from lesionlab.core.errors import CheckpointError, LayoutError, LesionlabError, RecipeError, UnsafeNameError
from lesionlab.core.labels import Labels
from lesionlab.core.names import LONGEST_BYTES, check_name
from lesionlab.core.plan import Fingerprint, Plan, parse_plan
from lesionlab.core.recipe import Recipe, parse_recipe
from lesionlab.layouts.opening import open_layout

UNSAFE = ("", ".", "..", "../x", "a/../../evil", "/etc/x", "..\\x", "a\\b", "a\0b", "a\nb", ".hidden", "x ", "x.",
          "CON", "nul.txt", "x" * (LONGEST_BYTES + 1), "a\u202eb")  # fmt: skip
SAFE = ("lesion", "enhancing tumour", "T2*", "WT+TC", "non-enhancing", "Läsion", "病灶", "benign (2)", "sub-01_ses-1")

RECIPE = {
    "name": "tiny", "modalities": ["flair"], "network": {"name": "unet"}, "loss": {"name": "dice"},
    "augmentation": {"name": "flips_and_intensity"}, "training": {"steps": 1},
}  # fmt: skip


def _plan(**changes: object) -> str:
    nothing = Fingerprint(
        cases=0,
        median_shape=(1, 1, 1),
        median_spacing_mm=(1, 1, 1),
        slices=0,
        lesion_slices=0,
        median_lesion_volume_ml=0,
    )
    plan = Plan(
        recipe=Recipe.model_validate(RECIPE), regions={"lesion": (1,)}, ignored=(), layout="table", training_cases=(),
        validation_cases=(), fingerprint=nothing, steps_per_epoch=1, total_steps=1, validate_every=1,
    )  # fmt: skip
    return json.dumps(json.loads(plan.model_dump_json()) | changes)


def _case(**changes: object) -> Case:
    return Case(**({"id": "a", "images": {"flair": Path("a.nii.gz")}, "label": None, "group": "a"} | changes))  # type: ignore[arg-type]


ENTRIES: dict[str, tuple[Callable[[str], object], type[LesionlabError]]] = {
    "region of labels": (lambda name: Labels(regions={name: frozenset({1})}), UnsafeNameError),
    "id of a case": (lambda name: _case(id=name), UnsafeNameError),
    "modality of a case": (lambda name: _case(images={name: Path("a.nii.gz")}), UnsafeNameError),
    "category of a case": (lambda name: _case(category=name), UnsafeNameError),
    "region of a plan": (lambda name: parse_plan(_plan(regions={name: [1]}), where="plan.json"), CheckpointError),
    "category of a plan": (lambda name: parse_plan(_plan(categories=[name]), where="plan.json"), CheckpointError),
    "modality of a plan": (
        lambda name: parse_plan(_plan(recipe=RECIPE | {"modalities": [name]}), where="plan.json"),
        CheckpointError,
    ),
    "modality of a recipe": (lambda name: parse_recipe(RECIPE | {"modalities": [name]}, where="r.toml"), RecipeError),
    "category of a recipe": (
        lambda name: parse_recipe(RECIPE | {"classification": {"categories": [name]}}, where="r.toml"),
        RecipeError,
    ),
}
"""Where a name comes in -> what reads it, and how it refuses."""


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("name", UNSAFE)
def test_unsafe_names_are_refused_where_they_enter(entry: str, name: str):
    read, refusal = ENTRIES[entry]
    with pytest.raises(refusal) as caught:
        read(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("name", SAFE)
def test_usual_names_are_taken(entry: str, name: str):
    ENTRIES[entry][0](name)


@given(st.text())
@example("a/../../b")
def test_a_name_that_is_taken_stays_in_its_folder(name: str):
    folder = Path("/out/masks")
    try:
        check_name(name, what="a case", where=folder)
    except UnsafeNameError:
        return
    for written in (name, f"{name}_mask.nii.gz", f"a_{name}.png"):
        assert (folder / written).parent == folder
        assert (folder / written).name == written
        assert len(written.encode()) < 255


@pytest.mark.parametrize("name", ["../x", "a/../../evil", "a\\b"])
@pytest.mark.parametrize("option", ["regions = {{ {} = [1] }}", "modalities = {{ {} = '*.png' }}", "channels = [{}]"])
def test_names_in_lesionlab_toml(tmp_path: Path, option: str, name: str):
    (tmp_path / "lesionlab.toml").write_text(option.format(json.dumps(name)))
    with pytest.raises(LayoutError, match="part of a file's name"):
        open_layout(f"image_mask:{tmp_path}")


@pytest.mark.parametrize("case_id", ["../x", "..", "a\\b", ".x"])
def test_ids_in_a_table(tmp_path: Path, case_id: str):
    (tmp_path / "a.nii.gz").touch()
    (tmp_path / "cases.csv").write_text(f"id,flair\n{case_id},a.nii.gz\n")
    with pytest.raises(LesionlabError) as caught:
        list(open_layout(f"table:{tmp_path}")[1].cases())
    assert case_id in str(caught.value).replace("\\\\", "\\")


@pytest.mark.parametrize("region", ["../x", "a/b"])
def test_regions_of_dataset_json_become_plain(tmp_path: Path, region: str):
    for name in ("imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    described = {"channel_names": {"0": "../FLAIR"}, "labels": {"background": 0, region: 1}, "file_ending": ".nii.gz"}
    (tmp_path / "dataset.json").write_text(json.dumps(described))
    _, layout = open_layout(f"nnunet_raw:{tmp_path}")
    assert not set("/\\.") & set("".join((*layout.labels.names, *layout.modalities)))
