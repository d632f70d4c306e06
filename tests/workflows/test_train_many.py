"""Several seeds and folds, one after the other."""

import json
from pathlib import Path

import pytest

from lesionlab.core.errors import OptionError
from lesionlab.workflows.train_many import folds_of, train_many


def test_two_folds_of_two_seeds(cohort: Path, tiny_recipe: str, shared_store: Path, tmp_path: Path):
    split = tmp_path / "split.csv"
    rows = [f"Utrecht_{number},Utrecht_{number},,{number % 2},training" for number in range(4)]
    split.write_text("\n".join(["id,group,site,fold,part", *rows, "Utrecht_9,Utrecht_9,,,test\n"]))
    assert folds_of(split) == (0, 1)
    changes = ("training.steps=1", "training.batch=2", "training.seed=5")
    done = train_many(
        tiny_recipe, f"wmh2017:{cohort}", tmp_path / "out", folds=(0, 1), seeds=2, changes=changes,
        store=shared_store, split_file=split,
    )  # fmt: skip
    assert [one.folder.name for one in done.trainings] == ["fold0-seed5", "fold0-seed6", "fold1-seed5", "fold1-seed6"]
    content = json.loads(done.summary.read_text())
    assert content["mean"] == pytest.approx(sum(one.best_score for one in done.trainings) / 4)
    assert all(one["is_finished"] for one in content["trainings"])
    plans = [json.loads((one.folder / "plan.json").read_text()) for one in done.trainings]
    assert plans[0]["validation_cases"] == plans[1]["validation_cases"] == ["Utrecht_0", "Utrecht_2"]
    assert plans[2]["validation_cases"] == ["Utrecht_1", "Utrecht_3"]


def test_all_folds_need_a_file_that_has_them():
    with pytest.raises(OptionError, match="a split file with folds; found none"):
        folds_of(None)
