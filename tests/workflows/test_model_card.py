"""What a checkpoint says of itself: filled by training, tuning and evaluation."""

import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from lesionlab.core.errors import CheckpointError, StorageError
from lesionlab.core.model_card import RECORD_FILE, ModelCard, Result, read_card
from lesionlab.core.report import Report
from lesionlab.engine.checkpoint import open_checkpoint
from lesionlab.pages.model_card_page import render_card
from lesionlab.workflows.evaluate import evaluate
from lesionlab.workflows.made_by import NOTE_FILE, read_maker
from lesionlab.workflows.modality_subsets import evaluate_subsets
from lesionlab.workflows.model_card import PAGE_FILE
from lesionlab.workflows.predict import predict
from lesionlab.workflows.train import Trained, train
from lesionlab.workflows.tune import tune


@pytest.fixture
def run(trained: Trained, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained.folder, tmp_path / "run"))


def page_of(run: Path) -> str:
    return (run / "best" / PAGE_FILE).read_text(encoding="utf-8")


def evaluated(run: Path, cohort: Path, split: str, *, protocols: Sequence[str] = ("wmh2017",)) -> Report:
    """Predict and evaluate a part of the cohort with the training in `run`; the report lies beside the training."""
    data, masks, out = f"wmh2017:{cohort}", run.parent / f"{split}_masks", run.parent / f"{split}_report"
    predict(run, data, masks, split=split)
    title = f"The *{split}* part"
    found = evaluate(masks, data, out, split=split, title=title, protocols=protocols)
    assert run / "best" / PAGE_FILE in found.files
    return found.report


def test_training_says_what_it_learned_from(run: Path):
    card, page = read_card(run / "best"), page_of(run)
    assert card.source is not None
    assert (card.source.patients, card.source.sites) == (3, {"Utrecht": 3})
    assert 0 < card.training_hours < 0.1
    for said in ("For research only", "| Patients | 3 |", "Utrecht (3)", "not stated", "Not evaluated yet", "one site"):
        assert said in page
    parameters = sum(part.numel() for part in open_checkpoint(run).load_network().parameters())
    assert f"synapse_net, {parameters:,} parameters" in page


def test_evaluation_adds_its_figures(run: Path, cohort: Path):
    report = evaluated(run, cohort, "test", protocols=("wmh2017", "synapse_net_paper"))
    (result,) = read_card(run / "best").results
    assert (result.cases, result.patients, result.learned_from, result.chosen_by) == (1, 1, 0, 0)
    means = {f"{line.protocol}.{line.region}.{line.metric}": line.mean for line in report.summary}
    assert {figure.name: figure.value for figure in result.figures} == pytest.approx(means, nan_ok=True)
    assert [part.by for part in result.parts].count("lesion size") >= 1
    page = page_of(run)
    assert r"### The \*test\* part" in page
    assert "Not evaluated yet" not in page
    assert "never evaluated on more than 1 new patients" in page


def test_a_process_that_only_evaluates_adds_them_too(run: Path, cohort: Path):
    data, masks = f"wmh2017:{cohort}", run.parent / "masks"
    predict(run, data, masks, split="test")
    words = ["evaluate", str(masks), data, str(run.parent / "report"), "--split", "test"]
    command = [sys.executable, "-c", "from lesionlab.cli.main import main; main()", *words]
    subprocess.run(command, check=True, capture_output=True)
    assert len(read_card(run / "best").results) == 1


def test_figures_of_training_cases_are_marked(run: Path, cohort: Path):
    for _ in range(2):  # the second takes the place of the first
        evaluated(run, cohort, "training")
    (result,) = read_card(run / "best").results
    assert (result.learned_from, result.chosen_by) == (3, 1)
    assert "3 of these cases are known, by their images or their ids, as cases that it learned from" in page_of(run)
    assert "how well it does on new ones is not known" in page_of(run)
    evaluated(run, cohort, "test")
    assert [one.learned_from for one in read_card(run / "best").results] == [3, 0]


def test_tuning_drops_what_other_thresholds_gave(run: Path, cohort: Path):
    evaluated(run, cohort, "test")
    before = read_card(run / "best")
    tune(run, f"wmh2017:{cohort}", thresholds=(0.05,), smallest_lesions_mm3=(3.0,))
    after = read_card(run / "best")
    assert (after.source, after.results) == (before.source, ())
    assert "threshold 0.05, smallest lesion 3 mm³ (highest mean dice of 1 validation cases)" in page_of(run)


def test_masks_of_other_weights_leave_the_card_alone(run: Path, cohort: Path, caplog: pytest.LogCaptureFixture):
    data, masks = f"wmh2017:{cohort}", run.parent / "masks"
    predict(run, data, masks, split="test")
    tune(run, data, thresholds=(0.1,), smallest_lesions_mm3=(0.0,))
    caplog.set_level(logging.INFO)
    evaluate(masks, data, run.parent / "report", split="test")
    assert "has changed since it made these predictions" in caplog.text
    shutil.rmtree(run)
    evaluate(masks, data, run.parent / "report", split="test")
    assert "is gone" in caplog.text


def test_subsets_of_the_modalities(cohort: Path, tiny_recipe: str, shared_store: Path, tmp_path: Path):
    changes = ("training.modality_dropout=0.5", "training.steps=2")
    train(tiny_recipe, f"wmh2017:{cohort}", tmp_path / "run", changes=changes, store=shared_store)
    assert "how well it does with fewer was not measured" in page_of(tmp_path / "run")
    found = evaluate_subsets(tmp_path / "run", f"wmh2017:{cohort}", tmp_path / "subsets", split="test")
    assert read_card(tmp_path / "run" / "best").subsets == found.rows
    assert "| flair + t1 | lesion |" in page_of(tmp_path / "run")
    alone = {row.modalities: row.mean_dice for row in found.rows if len(row.modalities) == 1}
    fewer = "; ".join(f"{name} (mean Dice {alone[name,]:.3f})" for name in ("flair", "t1"))
    assert f"| Input | flair, t1; with fewer: {fewer} |" in page_of(tmp_path / "run")


def test_a_classifier_has_a_card_too(classifier: Trained, categories: str, tmp_path: Path):
    run = Path(shutil.copytree(classifier.folder, tmp_path / "run"))
    predict(run, categories, tmp_path / "said", split="test")
    found = evaluate(tmp_path / "said", categories, tmp_path / "report", split="test")
    (result,) = read_card(run / "best").results
    assert [figure.value for figure in result.figures] == pytest.approx([one.value for one in found.measures])
    assert "tells apart healthy, stroke" in page_of(run)
    for untrue in ("smallest lesion", "mask", "Axial slices", "Median lesion volume"):
        assert untrue not in page_of(run)


STATED = 'citation = "Our clinic 2024"\nlicence = "CC BY-NC 4.0, for research"'


def test_a_dataset_is_what_its_own_files_say(cohort: Path, tiny_recipe: str, tmp_path: Path):
    data = Path(shutil.copytree(cohort, tmp_path / "data"))
    (data / "lesionlab.toml").write_text(STATED)
    train(tiny_recipe, f"wmh2017:{data}", tmp_path / "run", changes=("training.steps=1",))
    assert "| Licence | CC BY-NC 4.0, for research |" in page_of(tmp_path / "run")
    assert "| Dataset | Our clinic 2024 (layout wmh2017) |" in page_of(tmp_path / "run")


def test_a_layout_is_no_citation(run: Path, cohort: Path):
    evaluated(run, cohort, "test")
    page = page_of(run)
    assert page.count("a dataset in the layout wmh2017 (no citation stated)") == 2
    assert "Kuijf" not in page
    assert "Whether the evaluated cases are from another dataset than it learned from is not stated" in page


@pytest.mark.parametrize(
    ("evaluated_on", "said"),
    [("Our clinic 2024", "are from the dataset that it learned from"), ("Another clinic", ""), ("", "is not stated")],
)
def test_another_dataset_is_one_that_says_so(run: Path, evaluated_on: str, said: str):
    card = read_card(run / "best")
    assert card.source is not None
    source = card.source.model_copy(update={"citation": "Our clinic 2024"})
    result = Result(
        key="a", title="t", notice="", data="wmh2017", citation=evaluated_on, cases=30, patients=30, learned_from=0,
        chosen_by=0, sealed="", day="2026-01-01", figures=(), parts=(),
    )  # fmt: skip
    page = rendered(run, card.model_copy(update={"source": source, "results": (result,)}))
    origins = [line for line in page.splitlines() if line.startswith("- ") and "dataset" in line]
    assert [said in line for line in origins] == ([True] if said else [])


def test_pictures_have_neither_millimetres_nor_slices_nor_patients(run: Path):
    card = read_card(run / "best")
    assert card.source is not None
    pictures = card.source.model_copy(update={"kind": "picture", "patients": None})
    page = rendered(run, card.model_copy(update={"source": pictures}))
    for untrue in ("mm", " ml", "Axial", "scan", "| Patients | 3 |"):
        assert untrue not in page
    assert "| Patients | not told apart |" in page
    assert " px |" in page


def rendered(run: Path, card: ModelCard) -> str:
    checkpoint = open_checkpoint(run)
    return render_card(
        card, plan=checkpoint.plan, postprocessing=checkpoint.postprocessing, parameters=1, versions={}, machine="m",
        best="",
    )  # fmt: skip


def test_a_checkpoint_that_nobody_may_write_to(run: Path, cohort: Path, caplog: pytest.LogCaptureFixture):
    """A folder in the place of the record cannot be written over, whoever one is."""
    data, masks = f"wmh2017:{cohort}", run.parent / "masks"
    predict(run, data, masks, split="test")
    (run / "best" / PAGE_FILE).unlink()
    (run / "best" / PAGE_FILE).mkdir()
    found = evaluate(masks, data, run.parent / "report", split="test")
    assert found.page.exists()
    assert "the model card was not written" in caplog.text


def test_damaged_records_are_refused(run: Path, tmp_path: Path):
    (run / "best" / RECORD_FILE).write_text('{"source": 1}')
    with pytest.raises(CheckpointError, match=r"record of a model card.*source.*evaluate again"):
        read_card(run / "best")
    (tmp_path / NOTE_FILE).write_text(json.dumps({"checkpoint": "x"}))
    with pytest.raises(StorageError, match="weights: Field required"):
        read_maker(tmp_path)
