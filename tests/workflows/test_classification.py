"""Classification from the command line: every verb, its files, and what is refused."""

import csv
import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from category_cohort import rows_of, write_table

from lesionlab.cli.main import main
from lesionlab.core.errors import CheckpointError, LayoutError, LesionlabError, OptionError, RecipeError
from lesionlab.core.report import Report
from lesionlab.engine.checkpoint import open_checkpoint
from lesionlab.workflows.check import check
from lesionlab.workflows.evaluate import evaluate
from lesionlab.workflows.predict import Predicted, predict
from lesionlab.workflows.train import Trained, train
from lesionlab.workflows.tune import tune


def ended(*words: object) -> object:
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    return caught.value.code


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def predicted(classifier: Trained, categories: str, tmp_path_factory: pytest.TempPathFactory) -> Predicted:
    return predict(classifier.folder, categories, tmp_path_factory.mktemp("said"), split="test")


def folder_of(predicted: Predicted) -> Path:
    return predicted.files[0].parent


def test_every_verb_works(
    categories: str,
    classifier_recipe: str,
    category_store: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    run, said, report = tmp_path / "run", tmp_path / "said", tmp_path / "report"
    assert ended("check", categories) == 0
    assert ended("train", classifier_recipe, categories, run, "--store", category_store, "--stop-after", "1") == 0
    assert ended("train", classifier_recipe, categories, run, "--store", category_store) == 0
    assert "best validation auc" in capsys.readouterr().out
    assert ended("tune", run, categories) == 0
    assert ended("predict", run, categories, said, "--split", "test", "--flips", "True") == 0
    assert ended("evaluate", said, categories, report, "--split", "test") == 0
    out = capsys.readouterr().out
    for name in ("categories.csv", "categories.json", "report.html", "roc.png", "measures.csv", "auc", "specificity"):
        assert name in out
    page = (report / "report.html").read_text(encoding="utf-8")
    assert "Receiver operating characteristic" in page
    assert (report / "roc.png").read_bytes().startswith(b"\x89PNG")


def test_the_plan_tells_what_was_decided(classifier: Trained):
    assert (classifier.is_finished, classifier.chosen_by) == (True, "auc")
    plan = open_checkpoint(classifier.folder).plan
    assert plan.categories == ("healthy", "stroke")
    assert plan.category_cases == (2, 2)
    assert list(plan.recipe.loss.options["weights"]) == [1.0, 1.0]
    assert (len(plan.training_cases), len(plan.validation_cases)) == (4, 4)
    assert plan.outputs == 2
    (line, *_) = (classifier.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    numbers = json.loads(line)
    assert {"validation_auc", "validation_balanced_accuracy", "validation_probability"} <= set(numbers)


@pytest.mark.slow
def test_rare_categories_weigh_more(classifier_recipe: str, category_store: Path, tmp_path: Path):
    rows = rows_of(tmp_path / "data", cases=12)
    data = write_table(tmp_path / "data", [row for row in rows if row["id"] not in ("case01", "case03")])
    trained = train(classifier_recipe, data, tmp_path / "run", store=category_store, changes=["validation.share=0.25"])
    plan = open_checkpoint(trained.folder).plan
    assert plan.category_cases == (3, 1)
    assert list(plan.recipe.loss.options["weights"]) == pytest.approx([4 / 6, 2.0], abs=1e-6)


@pytest.mark.slow
def test_stopped_ends_as_never_stopped(
    categories: str, classifier_recipe: str, classifier: Trained, category_store: Path, tmp_path: Path
):
    for stop_after in (1, None):
        ended = train(classifier_recipe, categories, tmp_path, store=category_store, stop_after=stop_after)
    assert ended.is_finished
    files = [folder / "last" / "weights.safetensors" for folder in (classifier.folder, tmp_path)]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.slow
def test_a_share_of_the_labels(categories: str, classifier_recipe: str, category_store: Path, tmp_path: Path):
    trained = train(classifier_recipe, categories, tmp_path, store=category_store, fraction=0.5)
    plan = open_checkpoint(trained.folder).plan
    assert plan.category_cases == (1, 1)
    assert len(plan.validation_cases) == 4


def test_what_a_prediction_says(predicted: Predicted):
    assert [path.name for path in predicted.files] == ["categories.csv", "categories.json"]
    rows = table(predicted.files[0])
    said = json.loads(predicted.files[1].read_text(encoding="utf-8"))
    assert [row["case"] for row in rows] == ["case08", "case09", "case10", "case11"] == list(said["cases"])
    assert list(rows[0]) == ["case", "group", "site", "predicted", "probability_healthy", "probability_stroke"]
    for row in rows:
        stroke = float(row["probability_stroke"])
        assert stroke + float(row["probability_healthy"]) == pytest.approx(1, abs=1e-5)
        assert row["predicted"] == ("stroke" if stroke > 0.5 else "healthy")
        assert said["cases"][row["case"]]["probabilities"]["stroke"] == pytest.approx(stroke, abs=1e-5)


def test_finished_cases_are_skipped(classifier: Trained, categories: str, predicted: Predicted, tmp_path: Path):
    content = json.loads(predicted.files[1].read_text(encoding="utf-8"))
    content["cases"]["case08"]["probabilities"] = {"healthy": 0.125, "stroke": 0.875}
    (tmp_path / "categories.json").write_text(json.dumps(content), encoding="utf-8")
    predict(classifier.folder, categories, tmp_path, split="test")
    assert table(tmp_path / "categories.csv")[0]["probability_stroke"] == "0.875000"
    predict(classifier.folder, categories, tmp_path, split="test", flips=True)
    assert table(tmp_path / "categories.csv")[0]["probability_stroke"] != "0.875000"


def test_a_damaged_scan_does_not_stop_the_others(classifier: Trained, tmp_path: Path):
    rows = rows_of(tmp_path, cases=3)
    (tmp_path / "01.nii.gz").write_bytes(b"no image")
    found = predict(classifier.folder, write_table(tmp_path, rows), tmp_path / "said")
    assert list(found.failures) == ["case01"]
    assert [row["case"] for row in table(found.files[0])] == ["case00", "case02"]


@pytest.mark.parametrize("change", ["sampling.size=[32,32,32]", "network.options.heads=[2,2,2,2]"])
def test_what_does_not_fit_the_network_is_refused_before_cases_are_prepared(
    categories: str, classifier_recipe: str, tmp_path: Path, change: str
):
    with pytest.raises(RecipeError, match=r"keys network\.options and sampling\.size"):
        train(classifier_recipe, categories, tmp_path / "run", changes=[change])
    assert not (tmp_path / "run").exists()


def test_windows_are_refused(classifier: Trained, categories: str, tmp_path: Path):
    with pytest.raises(OptionError, match="--overlap"):
        predict(classifier.folder, categories, tmp_path, overlap=0.5)


def test_a_tuned_threshold_is_used(classifier: Trained, categories: str, predicted: Predicted, tmp_path: Path):
    shutil.copytree(classifier.folder, tmp_path / "run")
    tuned = tune(tmp_path / "run", categories, score="accuracy")
    scores = {float(row["threshold"]): float(row["accuracy"]) for row in table(tuned.files[0])}
    assert (tuned.score_name, tuned.has_smallest_lesion) == ("accuracy", False)
    assert scores[tuned.postprocessing.threshold] == pytest.approx(tuned.score)
    rows = table(predict(tmp_path / "run", categories, tmp_path / "said", split="test").files[0])
    for row, before in zip(rows, table(predicted.files[0]), strict=True):
        assert row["probability_stroke"] == before["probability_stroke"]
        is_above = float(row["probability_stroke"]) > tuned.postprocessing.threshold
        assert row["predicted"] == ("stroke" if is_above else "healthy")


def test_the_own_score_of_a_classifier_is_told(
    classifier: Trained, categories: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    shutil.copytree(classifier.folder, tmp_path / "run")
    assert ended("tune", tmp_path / "run", categories) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("threshold "))
    assert ": balanced_accuracy " in line
    assert "smallest lesion" not in line


def test_an_unknown_score_is_refused(classifier: Trained, categories: str):
    with pytest.raises(OptionError, match="did you mean 'accuracy'"):
        tune(classifier.folder, categories, score="acuracy")


def test_the_measures_are_those_of_the_table(predicted: Predicted, categories: str, tmp_path: Path):
    evaluation = evaluate(folder_of(predicted), categories, tmp_path, split="test")
    rows = table(predicted.files[0])
    stroke = [float(row["probability_stroke"]) for row in rows]
    ill, well = stroke[1::2], stroke[0::2]
    area = np.mean([(one > other) + 0.5 * (one == other) for one in ill for other in well])
    measures = {(one.name, one.of): one for one in evaluation.measures}
    assert measures["auc", "stroke"].value == pytest.approx(area)
    written = json.loads((tmp_path / "measures.json").read_text(encoding="utf-8"))["measures"]
    assert [one["name"] for one in written] == [one.name for one in evaluation.measures]
    right = [row["predicted"] == ("stroke" if number % 2 else "healthy") for number, row in enumerate(rows)]
    assert measures["accuracy", ""].value == pytest.approx(np.mean(right))
    read = Report.read(tmp_path)
    assert read.cases == ("case08", "case09", "case10", "case11")
    assert [row.value for row in read.rows if row.metric == "correct"] == [float(one) for one in right]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"category": ""}, "none for 1 of 8: case01"),
        ({"category": "Stroke"}, "spell each category one way"),
        ({"category": "71.3"}, "at least two patients of every category"),
    ],
)
def test_bad_labels_are_refused(change: Mapping[str, str], said: str, classifier_recipe: str, tmp_path: Path):
    rows = rows_of(tmp_path, cases=12)
    rows[1] |= change
    with pytest.raises(LayoutError, match=said):
        train(classifier_recipe, write_table(tmp_path, rows), tmp_path / "run")


def test_one_category_is_refused(classifier_recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    rows = [row | {"category": "stroke"} for row in rows_of(tmp_path, cases=6)]
    assert ended("train", classifier_recipe, write_table(tmp_path, rows), tmp_path / "run") == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "wanted at least two categories; found 'stroke'" in said


def test_masks_without_categories_are_no_classes(cohort: Path, classifier_recipe: str, tmp_path: Path):
    with pytest.raises(LayoutError, match="a category for every case"):
        train(classifier_recipe, f"wmh2017:{cohort}", tmp_path)


HEADER = "case,predicted,probability_healthy,probability_stroke\n"
ROWS = "case08,healthy,0.9,0.1\ncase09,stroke,0.2,0.8\ncase10,healthy,0.7,0.3\ncase11,stroke,0.4,0.6\n"


def test_a_table_of_any_program_is_scored(categories: str, tmp_path: Path):
    path = tmp_path / "theirs.csv"
    path.write_text((HEADER + ROWS).replace("predicted,", "remark,"), encoding="utf-8")
    evaluation = evaluate(path, categories, tmp_path / "report", split="test")
    assert evaluation.measures[0].value == 1
    assert all(math.isfinite(one.value) for one in evaluation.measures)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEADER + ROWS.replace("0.9", "high"), "add up to 1; found 'high', '0.1' of case case08"),
        (HEADER + ROWS.replace("0.9", "0.2"), "add up to 1"),
        (HEADER + ROWS.replace("0.9", "nan"), "add up to 1"),
        (HEADER + ROWS.replace("0.9,0.1", "1.5,-0.5"), "between 0 and 1"),
        (HEADER + ROWS.replace("case08", "case07"), "none for 1 of 4: case08"),
        (HEADER + ROWS + "case08,stroke,0.5,0.5\n", "two of case08"),
        (HEADER + ROWS.replace("case08,healthy", "case08,well"), "'well' of case case08"),
        (HEADER.replace("stroke", "infarct") + ROWS.replace("stroke", "infarct"), "also 'stroke'"),
        ("case,predicted\ncase08,stroke\n", "probability_<category>"),
        ("", "an empty table"),
    ],
)
def test_bad_tables_are_refused(text: str, said: str, categories: str, tmp_path: Path):
    (tmp_path / "categories.csv").write_text(text, encoding="utf-8")
    with pytest.raises(LayoutError, match=said):
        evaluate(tmp_path, categories, tmp_path / "report", split="test")
    assert not (tmp_path / "report").exists()


@pytest.mark.slow
def test_three_categories_from_training_to_page(classifier_recipe: str, category_store: Path, tmp_path: Path):
    rows = rows_of(tmp_path / "data", cases=18)
    for number, row in enumerate(rows):
        row["category"] = ("healthy", "stroke", "tumour")[number % 3]
    data = write_table(tmp_path / "data", rows)
    trained = train(classifier_recipe, data, tmp_path / "run", store=category_store)
    with pytest.raises(CheckpointError, match="likeliest"):
        tune(trained.folder, data)
    said = predict(trained.folder, data, tmp_path / "said", split="test")
    evaluation = evaluate(folder_of(said), data, tmp_path / "report", split="test")
    areas = [one.of for one in evaluation.measures if one.name == "auc"]
    assert areas == ["healthy", "stroke", "tumour", ""]


def test_a_plain_classifier_from_the_same_encoder(
    classifier: Trained, categories: str, classifier_recipe: str, category_store: Path, tmp_path: Path
):
    """The weights of the one with a mirror start the one without: all of the encoder fits."""
    weights = classifier.folder / "last" / "weights.safetensors"
    text = Path(classifier_recipe).read_text(encoding="utf-8").replace("saca_swin_classifier", "swin_classifier")
    (tmp_path / "plain.toml").write_text(text.replace(", symmetry_heads = 4", ""), encoding="utf-8")
    trained = train(
        str(tmp_path / "plain.toml"),
        categories,
        tmp_path / "run",
        store=category_store,
        start_from=[f"own:{weights}"],
        stop_after=1,
        changes=["training.learning_rate=1e-12", "training.final_learning_rate=0"],
    )
    ours = open_checkpoint(trained.folder / "last").load_network().state_dict()
    theirs = open_checkpoint(classifier.folder / "last").load_network().state_dict()
    shared = [name for name in ours if name.startswith("encoder.")]
    assert len(shared) > 50
    for name in shared:
        np.testing.assert_allclose(ours[name], theirs[name], atol=1e-6)


def test_checking_finds_nothing_amiss(categories: str):
    assert [finding for finding in check(categories) if finding.severity == "error"] == []


def test_a_classifier_refuses_what_it_was_not_trained_for(classifier: Trained, cohort: Path, tmp_path: Path):
    with pytest.raises(LesionlabError, match=r"mask"):
        evaluate(tmp_path, f"wmh2017:{cohort}", tmp_path / "report")
    found = predict(classifier.folder, f"wmh2017:{cohort}", tmp_path / "said")
    assert len(table(found.files[0])) == 5
