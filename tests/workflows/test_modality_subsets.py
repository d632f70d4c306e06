"""One checkpoint for every subset of its modalities."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lesionlab.cli.main import main
from lesionlab.core.errors import CheckpointError, LayoutError
from lesionlab.engine.checkpoint import open_checkpoint
from lesionlab.engine.predictor import Predictor
from lesionlab.layouts.opening import open_layout
from lesionlab.workflows.modality_subsets import evaluate_subsets
from lesionlab.workflows.train import Trained, train


@pytest.fixture(scope="module")
def forgiving(tmp_path_factory: pytest.TempPathFactory, cohort: Path, tiny_recipe: str, shared_store: Path) -> Path:
    out = tmp_path_factory.mktemp("forgiving")
    changes = ("training.modality_dropout=0.5", "training.steps=2")
    train(tiny_recipe, f"wmh2017:{cohort}", out, changes=changes, store=shared_store)
    return out


def test_the_table_of_all_subsets(forgiving: Path, cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", str(forgiving), f"wmh2017:{cohort}", str(tmp_path), "--modality-subsets", "--split", "test"])
    assert ended.value.code == 0
    assert "flair + t1" in capsys.readouterr().out
    rows = list(csv.DictReader((tmp_path / "modality_subsets.csv").read_text().splitlines()))
    assert [row["modalities"] for row in rows] == ["flair+t1", "flair", "t1"]
    assert all(0 <= float(row["mean_dice"]) <= 1 for row in rows)
    assert float(rows[0]["retention"]) == 1


def test_what_was_not_measured_has_no_influence(forgiving: Path, cohort: Path):
    """A case without its T1 gives the probabilities of its FLAIR alone, on the same grid."""
    opened = open_checkpoint(forgiving)
    predictor = Predictor(opened, opened.plan.recipe.inference)
    case = next(iter(open_layout(f"wmh2017:{cohort}")[1].cases()))
    alone = predictor.predict(replace(case, images={"flair": case.images["flair"]}))
    whole = predictor.predict(case)
    assert alone.probabilities.shape == whole.probabilities.shape
    assert not np.allclose(alone.probabilities, whole.probabilities)


def test_a_network_that_never_learnt_it_is_refused(trained: Trained, cohort: Path, tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"training\.modality_dropout = 0"):
        evaluate_subsets(trained.folder, f"wmh2017:{cohort}", tmp_path)
    opened = open_checkpoint(trained.folder)
    case = next(iter(open_layout(f"wmh2017:{cohort}")[1].cases()))
    with pytest.raises(LayoutError, match="found only flair"):
        Predictor(opened, opened.plan.recipe.inference).predict(replace(case, images={"flair": case.images["flair"]}))
