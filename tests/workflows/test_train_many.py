"""Several seeds and folds, one after the other and at once."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lesionlab.cli.main import main
from lesionlab.core.errors import OptionError
from lesionlab.workflows.train_many import folds_of, train_many


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """Return a table of the cohort in two folds."""
    rows = [f"Utrecht_{number},Utrecht_{number},,{number % 2},training" for number in range(4)]
    file = tmp_path / "split.csv"
    file.write_text("\n".join(["id,group,site,fold,part", *rows, "Utrecht_9,Utrecht_9,,,test\n"]))
    return file


@pytest.mark.slow
def test_two_folds_of_two_seeds(cohort: Path, tiny_recipe: str, shared_store: Path, tmp_path: Path, split: Path):
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


@pytest.mark.slow
def test_a_cluster_trains_the_same_and_names_what_fails(
    cohort: Path, tiny_recipe: str, shared_store: Path, tmp_path: Path, split: Path, capsys: pytest.CaptureFixture[str]
):
    for fold in (0, 1):
        assert _run_command(cohort, tiny_recipe, shared_store, tmp_path / "single", split, "--fold", str(fold)) == 0
        (tmp_path / "single").rename(tmp_path / f"fold{fold}-seed3")
    damaged = tmp_path / "many" / "fold1-seed4" / "last"
    damaged.mkdir(parents=True)
    words = ("--fold", "all", "--seeds", "2", "--cluster", "local:2")
    assert _run_command(cohort, tiny_recipe, shared_store, tmp_path / "many", split, *words) == 1
    said = capsys.readouterr().out
    assert "failed: fold1-seed4: wanted a checkpoint" in said
    content = json.loads((tmp_path / "many" / "trainings.json").read_text())
    assert [one["folder"] for one in content["trainings"]] == ["fold0-seed3", "fold0-seed4", "fold1-seed3"]
    for name in ("fold0-seed3", "fold1-seed3"):
        alone, together = (load_file(tmp_path / place / "last" / "weights.safetensors")
                           for place in (name, f"many/{name}"))  # fmt: skip
        assert all(torch.equal(alone[key], together[key]) for key in alone)


def _run_command(cohort: Path, recipe: str, store: Path, out: Path, split: Path, *words: str) -> int:
    changes = ("--change", "training.steps=3", "--change", "training.batch=2", "--store", str(store))
    with pytest.raises(SystemExit) as ended:
        main(["train", recipe, f"wmh2017:{cohort}", str(out), "--split-file", str(split), *changes, *words])
    return int(ended.value.code or 0)


def test_all_folds_need_a_file_that_has_them():
    with pytest.raises(OptionError, match="a split file with folds; found none"):
        folds_of(None)
