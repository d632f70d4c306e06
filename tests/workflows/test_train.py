"""A training that was stopped or killed ends exactly as one that was not."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_training import RECIPE, SHAPE, write_case, write_recipe
from torch import Tensor, nn

from lesionlab.core.errors import CheckpointError, LayoutError, NameUnknownError, OptionError, RecipeError
from lesionlab.core.loss import loss
from lesionlab.core.network import Output
from lesionlab.engine.checkpoint import build_planned_network, open_checkpoint
from lesionlab.workflows.train import Trained, train

SHORT_EPOCHS = ("sampling.factor=1", "sampling.bonus=0", "training.batch=8")
"""Fifteen slices in batches of eight: a validation after every second step."""

OF_THE_MACHINE = {"steps_per_second", "data_wait_share", "memory_gib"}


@pytest.fixture
def run(cohort: Path, tiny_recipe: str, shared_store: Path):
    """Return the function that trains on the cohort into a folder."""

    def train_into(out: Path, *changes: str, workers: int = 0, stop_after: int | None = None) -> Trained:
        wanted = (*SHORT_EPOCHS, *changes)
        return train(
            tiny_recipe,
            f"wmh2017:{cohort}",
            out,
            changes=wanted,
            store=shared_store,
            workers=workers,
            stop_after=stop_after,
        )

    return train_into


def lines_of(folder: Path) -> list[dict[str, float]]:
    """Return the metrics without those that the machine decides."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in OF_THE_MACHINE} for line in lines]


def assert_same_training(first: Path, second: Path) -> None:
    for file in ("best/weights", "last/weights", "last/training"):
        expected, found = (load_file(folder / f"{file}.safetensors") for folder in (first, second))
        assert expected.keys() == found.keys()
        assert max(float((expected[name] - found[name]).abs().max()) for name in expected) == 0
    assert lines_of(first) == lines_of(second)
    assert progress_of(first) == progress_of(second)


def progress_of(folder: Path) -> dict[str, float]:
    return dict(open_checkpoint(folder / "last").provenance["training"])


def test_what_a_training_leaves(trained: Trained):
    assert trained.is_finished
    assert trained.steps == 6
    names = {path.name for path in trained.folder.iterdir()}
    assert names == {"best", "last", "metrics.jsonl", "plan.json", "tensorboard", "training.html"}
    (line,) = lines_of(trained.folder)
    assert line["step"] == 6
    assert line["validation_dice"] == pytest.approx(trained.best_score)
    assert line["skipped_steps"] == 0
    assert 0 < line["loss"] < 10
    plan = open_checkpoint(trained.folder).plan
    assert not set(plan.training_cases) & set(plan.validation_cases)
    assert "Utrecht_9" not in {*plan.training_cases, *plan.validation_cases}


def test_stopped_twice_ends_as_never_stopped(run, tmp_path: Path):
    """The stops fall between two validations, and samples come from this process and from two others."""
    straight = run(tmp_path / "straight", "training.steps=5")
    for stop_after, workers in ((1, 0), (3, 2), (None, 0)):
        ended = run(tmp_path / "stopped", "training.steps=5", workers=workers, stop_after=stop_after)
        assert ended.steps == (stop_after or 5)
        assert ended.is_finished == (stop_after is None)
    assert [line["step"] for line in lines_of(tmp_path / "straight")] == [2, 4, 5]
    assert straight.best_score == ended.best_score
    assert_same_training(tmp_path / "straight", tmp_path / "stopped")


def test_two_workers_draw_the_same_samples(run, tmp_path: Path):
    for workers in (0, 2):
        run(tmp_path / str(workers), "training.steps=2", workers=workers)
    assert_same_training(tmp_path / "0", tmp_path / "2")


def test_another_seed_is_another_training(run, tmp_path: Path):
    for seed in (1, 2):
        run(tmp_path / str(seed), "training.steps=1", f"training.seed={seed}")
    assert lines_of(tmp_path / "1") != lines_of(tmp_path / "2")


def test_a_finished_training_is_not_done_again(trained: Trained, cohort: Path, tiny_recipe: str, shared_store: Path):
    before = {path: path.stat().st_mtime_ns for path in trained.folder.glob("*/*.safetensors")}
    again = train(tiny_recipe, f"wmh2017:{cohort}", trained.folder, store=shared_store)
    assert again == trained
    assert {path: path.stat().st_mtime_ns for path in trained.folder.glob("*/*.safetensors")} == before


def test_stopping_before_the_first_step_is_possible(run, tmp_path: Path):
    assert run(tmp_path, "training.steps=2", stop_after=0).steps == 0
    assert run(tmp_path, "training.steps=2").is_finished


def test_another_recipe_in_the_same_folder_is_refused(trained: Trained, run):
    before = (trained.folder / "plan.json").read_bytes()
    with pytest.raises(RecipeError, match="another recipe"):
        run(trained.folder, "training.learning_rate=0.5")
    assert (trained.folder / "plan.json").read_bytes() == before


def test_what_a_kill_wrote_too_much_is_dropped(run, tmp_path: Path):
    """Killed after the line of step 4 and half a further one, but before the checkpoint of step 4."""
    run(tmp_path / "straight", "training.steps=4")
    run(tmp_path / "killed", "training.steps=4", stop_after=2)
    lines = (tmp_path / "straight" / "metrics.jsonl").read_text().splitlines()
    (tmp_path / "killed" / "metrics.jsonl").write_text("\n".join([*lines, '{"step": 5, "lo']))
    (tmp_path / "killed" / ".best.new").mkdir()
    (tmp_path / "killed" / ".last.new").mkdir()
    run(tmp_path / "killed", "training.steps=4")
    assert_same_training(tmp_path / "straight", tmp_path / "killed")
    assert not list((tmp_path / "killed").glob(".*"))


def test_patience_ends_a_training(run, tmp_path: Path):
    """No probability reaches the threshold, so no validation is better than the first."""
    changes = ("training.steps=40", "validation.threshold=0.999", "validation.patience=2")
    ended = run(tmp_path, *changes)
    assert (ended.steps, ended.best_score, ended.is_finished) == (6, 0.0, True)
    assert open_checkpoint(tmp_path / "best").provenance["training"]["step"] == 2
    assert run(tmp_path, *changes).steps == 6


class NotFinite(nn.Module):
    """A loss that is a number now and then: of four steps, a sound one, a NaN, an infinite gradient, a sound one."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds = ["ok", "nan", "gradient", "ok"]
        self.step = -1  # the estimate of memory asks once before the first step

    def forward(self, output: Output, reference: Tensor, *, counted: Tensor) -> Tensor:
        assert counted.any()
        kind = self.kinds[self.step % len(self.kinds)]
        self.step += 1
        sound = (output.logits - reference).square().mean()
        if kind == "nan":
            return sound * torch.nan
        return sound if kind == "ok" else (output.logits * 0).sum().abs().sqrt()


class NeverFinite(NotFinite):
    def __init__(self) -> None:
        super().__init__()
        self.kinds = ["nan", "gradient"]


@pytest.fixture
def odd_losses(monkeypatch: pytest.MonkeyPatch):
    for maker in (NotFinite, NeverFinite):
        monkeypatch.setitem(loss._makers, maker.__name__, maker)


def test_steps_that_are_not_finite_are_left_out_and_counted(run, tmp_path: Path, odd_losses: None):
    ended = run(tmp_path, "training.steps=4", "loss.name=NotFinite")
    assert ended.is_finished
    assert [line["skipped_steps"] for line in lines_of(tmp_path)] == [1, 2]
    assert all(0 < line["loss"] < 100 for line in lines_of(tmp_path))
    assert progress_of(tmp_path)["skipped"] == 2
    weights = open_checkpoint(tmp_path / "last").load_network().state_dict()
    assert all(torch.isfinite(part).all() for part in weights.values())


def test_where_no_step_is_finite_nothing_changes(run, tmp_path: Path, odd_losses: None):
    """Neither weights nor batch statistics, and the training can still be gone on with."""
    run(tmp_path, "training.steps=2", "loss.name=NeverFinite", stop_after=1)
    run(tmp_path, "training.steps=2", "loss.name=NeverFinite")
    opened = open_checkpoint(tmp_path / "last")
    torch.manual_seed(opened.plan.recipe.training.seed)
    fresh = build_planned_network(opened.plan).state_dict()
    assert all(torch.equal(part, fresh[name]) for name, part in opened.load_network().state_dict().items())
    (line,) = lines_of(tmp_path)
    assert line["skipped_steps"] == 2
    assert "loss" not in line


def test_wrong_names_are_refused_before_anything_is_written(cohort: Path, tmp_path: Path, tiny_recipe: str):
    data = f"wmh2017:{cohort}"
    for change, kind in (
        ("network.name=synapse", NameUnknownError),
        ("loss.options.weight=1", OptionError),
        ("training.stepz=3", RecipeError),
    ):
        with pytest.raises(kind):
            train(tiny_recipe, data, tmp_path / "out", changes=[change])
    assert not (tmp_path / "out").exists()


def test_modalities_that_the_layout_lacks_are_named(cohort: Path, tmp_path: Path):
    recipe = write_recipe(tmp_path / "dwi.toml", RECIPE.replace('"t1"', '"dwi"'))
    with pytest.raises(LayoutError, match="modalities flair, dwi of recipe tiny; found flair, t1"):
        train(recipe, f"wmh2017:{cohort}", tmp_path / "out")


def test_an_earlier_training_that_is_damaged_is_refused(run, tmp_path: Path):
    run(tmp_path, "training.steps=2", stop_after=1)
    content = json.loads((tmp_path / "last" / "provenance.json").read_text())
    content["training"]["stranger"] = 1
    (tmp_path / "last" / "provenance.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=r"how far a training of this version had come; found .*stranger"):
        run(tmp_path, "training.steps=2")


TRAIN = [sys.executable, "-c", "from lesionlab.cli.main import main; main()", "train"]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_kill_9_in_the_middle_changes_nothing_in_the_end(cohort: Path, tiny_recipe: str, tmp_path: Path, workers: int):
    def command(out: str) -> list[str]:
        changes = [word for change in (*SHORT_EPOCHS, "training.steps=24") for word in ("--change", change)]
        return [*TRAIN, tiny_recipe, f"wmh2017:{cohort}", str(tmp_path / out), "--workers", str(workers), *changes]

    subprocess.run(command("straight"), check=True, capture_output=True)
    metrics = tmp_path / "killed" / "metrics.jsonl"
    for lines in (1, 3):
        with subprocess.Popen(
            command("killed"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        ) as started:
            while not metrics.exists() or metrics.read_text().count("\n") < lines:
                assert started.poll() is None, "it ended before it could be killed"
                time.sleep(0.01)
            time.sleep(0.03 * lines)
            os.killpg(started.pid, signal.SIGKILL)
    subprocess.run(command("killed"), check=True, capture_output=True)
    assert_same_training(tmp_path / "straight", tmp_path / "killed")
    assert not list((tmp_path / "killed").glob(".*"))


@pytest.mark.slow
def test_ctrl_c_ends_in_order(cohort: Path, tiny_recipe: str, tmp_path: Path):
    out = tmp_path / "out"
    command = [*TRAIN, tiny_recipe, f"wmh2017:{cohort}", str(out), "--change", "training.steps=5000"]
    command += [word for change in SHORT_EPOCHS for word in ("--change", change)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as started:
        while not (out / "last").exists():
            assert started.poll() is None
            time.sleep(0.02)
        started.send_signal(signal.SIGINT)
        _, said = started.communicate(timeout=10)
    assert started.returncode == 130
    assert "Traceback" not in said
    assert "interrupted" in said
    open_checkpoint(out / "last").load_network()


@pytest.mark.slow
def test_a_network_learns_one_patient(tmp_path: Path):
    """Trained and validated on the same phantom: it can be learnt almost by heart."""
    for split, name in (("training", "0"), ("validation", "1")):
        write_case(tmp_path / "data" / split / "Utrecht" / name, seed=4)
    still = "{ flip = 0.0, affine = 0.0, elastic = 0.0, gamma = 0.0, noise = 0.0, intensity = 0.0, holes = 0.0 }"
    text = RECIPE.replace("{ elastic_sigma = 2.0, elastic_voxels = 5.0, hole_voxels = [2, 4] }", still)
    text = text.replace("token_grid = 2 }", "token_grid = 2, dropout = 0.0, drop_path = 0.0 }")
    text = text.replace("widths = [4, 4, 8, 8, 8]", "widths = [8, 8, 16, 16, 16]")
    recipe = write_recipe(tmp_path / "still.toml", text)
    changes = ["training.steps=300", "training.learning_rate=1e-2"]
    ended = train(recipe, f"wmh2017:{tmp_path / 'data'}", tmp_path / "out", changes=changes)
    assert SHAPE[2] == 5
    assert ended.best_score > 0.8
