"""A sealed test set stays out of training and tuning, and every look at it is counted."""

import json
import shutil
from pathlib import Path

import pytest

from lesionlab.core.case import Case
from lesionlab.core.errors import LayoutError, OptionError, SplitError, StorageError
from lesionlab.core.report import Report
from lesionlab.core.split import SplitRow, SplitTable, hash_case
from lesionlab.engine.checkpoint import open_checkpoint
from lesionlab.workflows.evaluate import evaluate
from lesionlab.workflows.made_by import NOTE_FILE
from lesionlab.workflows.predict import predict
from lesionlab.workflows.sealed import COUNT_FILE, count_evaluation, keep_sealed
from lesionlab.workflows.train import Trained, train
from lesionlab.workflows.tune import tune

CHANGES = ("training.steps=1", "training.batch=2")


def write_split(path: Path, **parts: int | str) -> Path:
    """Write a split of patients of the cohort: each with a fold, or with a part."""
    rows = (
        SplitRow(
            id=name,
            group=name,
            site="",
            fold=place if isinstance(place, int) else None,
            part="training" if isinstance(place, int) else place,
        )
        for name, place in parts.items()
    )
    SplitTable(rows=tuple(rows)).write(path)
    return path


@pytest.fixture
def split_file(tmp_path: Path) -> Path:
    return write_split(tmp_path / "split.csv", Utrecht_0=0, Utrecht_1=1, Utrecht_2=2, Utrecht_9="sealed")


def edit_plan(folder: Path, **fields: object) -> None:
    for path in folder.rglob("plan.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))


@pytest.fixture
def sealed(trained: Trained, tmp_path: Path) -> Path:
    """A finished training for which case Utrecht_9 was sealed."""
    folder = Path(shutil.copytree(trained.folder, tmp_path / "run"))
    edit_plan(folder, sealed=[hash_case("Utrecht_9")])
    return folder


def test_what_was_sealed_stays_sealed(sealed: Path, tmp_path: Path):
    weights = f"own:{sealed / 'best' / 'weights.safetensors'}"
    further = write_split(tmp_path / "further.csv", Utrecht_0=0, Utrecht_7="sealed")
    both = tuple(sorted(map(hash_case, ("Utrecht_7", "Utrecht_9"))))
    for out, start_from in ((sealed, ()), (tmp_path / "fresh", (weights,))):
        assert keep_sealed(["Utrecht_0"], out=out, start_from=start_from, split_file=further) == both
        with pytest.raises(SplitError, match="1 of the sealed test set: Utrecht_9"):
            keep_sealed(["Utrecht_9"], out=out, start_from=start_from, split_file=None)
    assert keep_sealed(["Utrecht_9"], out=tmp_path / "fresh", start_from=(), split_file=None) == ()


def test_training_refuses_sealed_cases(
    sealed: Path, cohort: Path, tiny_recipe: str, shared_store: Path, tmp_path: Path
):
    """A split file that would train on what weights were sealed from."""
    edit_plan(sealed, sealed=[hash_case("Utrecht_2")])
    opened = write_split(tmp_path / "opened.csv", Utrecht_0=0, Utrecht_1=0, Utrecht_2=1)
    with pytest.raises(SplitError, match="sealed test set: Utrecht_2"):
        train(tiny_recipe, f"wmh2017:{cohort}", sealed, store=shared_store, split_file=opened, fold=0)


def test_tuning_refuses_sealed_cases(sealed: Path, cohort: Path):
    """Somebody wrote a sealed case into the plan's validation cases."""
    edit_plan(sealed, validation_cases=["Utrecht_1", "Utrecht_9"])
    with pytest.raises(SplitError, match="sealed test set: Utrecht_9"):
        tune(sealed, f"wmh2017:{cohort}")


def test_every_evaluation_is_counted(sealed: Path, cohort: Path, split_file: Path, tmp_path: Path):
    data = f"wmh2017:{cohort}"
    predict(sealed, data, tmp_path / "masks", split="test", split_file=split_file)
    for number in (1, 2):
        evaluate(tmp_path / "masks", data, tmp_path / "report", split="test", split_file=split_file)
        provenance = Report.read(tmp_path / "report").provenance
        assert provenance["sealed test set"] == f"1 cases, evaluation number {number}"
    assert "evaluation number 2" in (tmp_path / "report" / "report.html").read_text()
    lines = [json.loads(line) for line in (sealed / COUNT_FILE).read_text().splitlines()]
    assert [(line["number"], line["cases"]) for line in lines] == [(1, 1), (2, 1)]


def test_only_sealed_cases_are_counted(sealed: Path, cohort: Path, split_file: Path, tmp_path: Path):
    data = f"wmh2017:{cohort}"
    predict(sealed, data, tmp_path / "masks", split="training", split_file=split_file)
    evaluation = evaluate(tmp_path / "masks", data, tmp_path / "report", split="training", split_file=split_file)
    assert evaluation.report.cases == ("Utrecht_0", "Utrecht_1", "Utrecht_2")
    assert "sealed test set" not in evaluation.report.provenance
    assert not (sealed / COUNT_FILE).exists()


def test_a_damaged_note_is_refused(tmp_path: Path):
    (tmp_path / NOTE_FILE).write_text("{}")
    with pytest.raises(StorageError, match="predict again"):
        count_evaluation(tmp_path, [], out=tmp_path)


def test_a_part_that_the_split_file_does_not_have(sealed: Path, cohort: Path, split_file: Path, tmp_path: Path):
    with pytest.raises(LayoutError, match="cases of split validation; found none"):
        predict(sealed, f"wmh2017:{cohort}", tmp_path, split="validation", split_file=split_file)


def test_a_fold_needs_a_split_file(cohort: Path, tiny_recipe: str, tmp_path: Path):
    with pytest.raises(OptionError, match="--split-file"):
        train(tiny_recipe, f"wmh2017:{cohort}", tmp_path / "out", fold=0)


@pytest.mark.slow
def test_a_fold_is_trained_and_its_seal_is_in_the_plan(
    cohort: Path, split_file: Path, tiny_recipe: str, shared_store: Path, tmp_path: Path
):
    data, out = f"wmh2017:{cohort}", tmp_path / "run"
    for _ in range(2):
        train(tiny_recipe, data, out, changes=CHANGES, store=shared_store, split_file=split_file, fold=1)
    plan = open_checkpoint(out).plan
    assert set(plan.training_cases) == {"Utrecht_0", "Utrecht_2"}
    assert plan.validation_cases == ("Utrecht_1",)
    assert plan.sealed == (hash_case("Utrecht_9"),)
    assert "Utrecht_9" not in (out / "plan.json").read_text()


def test_copied_masks_are_counted_beside_the_split_file(sealed: Path, cohort: Path, split_file: Path, tmp_path: Path):
    """Nothing says who made them; the split file still says that the case is sealed."""
    data = f"wmh2017:{cohort}"
    predict(sealed, data, tmp_path / "masks", split="test", split_file=split_file)
    copied = tmp_path / "copied"
    copied.mkdir()
    shutil.copy(tmp_path / "masks" / "Utrecht_9_mask.nii.gz", copied)
    (tmp_path / "pairs.csv").write_text("case,prediction\nUtrecht_9,copied/Utrecht_9_mask.nii.gz\n")
    for number, predictions in enumerate((copied, tmp_path / "pairs.csv"), start=1):
        out = tmp_path / f"report{number}"
        evaluation = evaluate(predictions, data, out, split="test", split_file=split_file)
        assert evaluation.report.provenance["sealed test set"] == f"1 cases, evaluation number {number}"
    assert len((split_file.parent / COUNT_FILE).read_text().splitlines()) == 2


def test_weights_that_learned_from_a_sealed_case_are_refused(sealed: Path, cohort: Path, tmp_path: Path):
    """By its id or, in another layout under another id, by its images."""
    weights = f"own:{sealed / 'best' / 'weights.safetensors'}"
    trained_on = open_checkpoint(sealed).plan.training_cases[0]
    sealing = write_split(tmp_path / "sealing.csv", **{trained_on: "sealed", "Utrecht_9": 0})
    with pytest.raises(SplitError, match=f"1 of the sealed test set among the cases of these: {trained_on}"):
        keep_sealed([], out=tmp_path / "out", start_from=(weights,), split_file=sealing)
    place = cohort / "training" / trained_on.replace("_", "/") / "pre"
    images = {name: place / f"{name.upper()}.nii.gz" for name in ("flair", "t1")}
    renamed = Case(id="anna", images=images, label=None, group="anna", split="test", is_sealed=True)
    with pytest.raises(SplitError, match="among the cases of these: anna"):
        keep_sealed([], out=tmp_path / "out", start_from=(weights,), split_file=None, test=[renamed])


def test_weights_that_learned_from_a_test_case_are_warned_of(
    sealed: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    weights = f"own:{sealed / 'best' / 'weights.safetensors'}"
    name = open_checkpoint(sealed).plan.training_cases[0]
    test = Case(id=name, images={}, label=None, group=name, split="test")
    keep_sealed([], out=tmp_path / "out", start_from=(weights,), split_file=None, test=[test])
    assert f"learned from 1 of the test cases: {name}" in caplog.text


def test_a_dataset_may_seal_its_own_cases(tmp_path: Path):
    own = Case(id="a", images={}, label=None, group="a", split="test", is_sealed=True)
    assert keep_sealed(["b"], out=tmp_path, start_from=(), split_file=None, test=[own]) == (hash_case("a"),)
    for number in (1, 2):
        said = count_evaluation(tmp_path / "masks", [own], out=tmp_path / "report")
        assert said == {"sealed test set": f"1 cases, evaluation number {number}"}


def test_an_encoder_is_not_pre_trained_on_sealed_cases(tmp_path: Path):
    """A plan of a pre-training, of whatever version, that names a case which is sealed now."""
    folder = tmp_path / "pretrained" / "best"
    folder.mkdir(parents=True)
    plan = {"recipe": {"task": "pretrain"}, "training_cases": ["Utrecht_5"], "validation_cases": ["Utrecht_4"]}
    (folder / "plan.json").write_text(json.dumps(plan))
    (folder / "weights.safetensors").touch()
    for name in ("Utrecht_4", "Utrecht_5"):
        sealing = write_split(tmp_path / "sealing.csv", **{name: "sealed", "Utrecht_1": 0})
        with pytest.raises(SplitError, match=f"never learned from a sealed case; found 1 .*: {name}"):
            keep_sealed(
                ["Utrecht_1"],
                out=tmp_path / "run",
                start_from=(f"own:{folder / 'weights.safetensors'}",),
                split_file=sealing,
            )
