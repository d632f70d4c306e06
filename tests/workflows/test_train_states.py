"""Everything that a training remembers survives a stop, and it ends when it is told to."""

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
from test_train import assert_same_training, lines_of, progress_of

from lesionlab.core.errors import RecipeError
from lesionlab.engine.checkpoint import open_checkpoint
from lesionlab.workflows.train import Trained, train

EVERYTHING = (
    "sampling.factor=2",
    "sampling.bonus=0",
    "sampling.refresh_every=1",
    "sampling.neighbours=1",
    "sampling.empty_share=0.4",
    "training.batch=8",
    "training.accumulate=3",
    "training.averaging=0.9",
    "training.modality_dropout=0.4",
)
"""Every state that a training can have."""


@pytest.fixture
def run(cohort: Path, tiny_recipe: str, shared_store: Path):
    def train_into(out: Path, *changes: str, **options: object) -> Trained:
        return train(tiny_recipe, f"wmh2017:{cohort}", out, changes=changes, store=shared_store, **options)

    return train_into


@pytest.mark.slow
def test_stopped_with_every_state_ends_as_never_stopped(run, tmp_path: Path):
    changes = (*EVERYTHING, "training.steps=7")
    run(tmp_path / "straight", *changes)
    for stop_after in (4, None):
        run(tmp_path / "stopped", *changes, stop_after=stop_after)
    assert_same_training(tmp_path / "straight", tmp_path / "stopped")
    state = load_file(tmp_path / "straight" / "last" / "training.safetensors")
    assert torch.isfinite(state["odds.followed"]).any(), "the odds were refreshed at least once"
    assert progress_of(tmp_path / "straight")["parts"] == 3


def test_the_best_checkpoint_holds_the_average(run, tmp_path: Path):
    run(tmp_path, *EVERYTHING, "training.steps=2")
    average = load_file(tmp_path / "last" / "training.safetensors")
    best, last = (load_file(tmp_path / name / "weights.safetensors") for name in ("best", "last"))
    assert all(torch.equal(value, average[f"average.{name}"]) for name, value in best.items())
    assert any(not torch.equal(value, last[name]) for name, value in best.items())
    assert open_checkpoint(tmp_path).plan.recipe.channels == 6


def test_a_finished_training_is_made_longer_only_when_asked(run, tmp_path: Path):
    assert run(tmp_path, "training.steps=1").is_finished
    with pytest.raises(RecipeError, match="--extend"):
        run(tmp_path, "training.steps=3")
    with pytest.raises(RecipeError, match="another recipe"):
        run(tmp_path, "training.steps=3", "training.learning_rate=0.5", extend=True)
    longer = run(tmp_path, "training.steps=3", extend=True)
    assert (longer.steps, longer.is_finished) == (3, True)
    assert [line["step"] for line in lines_of(tmp_path)] == [1, 3]
    assert run(tmp_path, "training.steps=3") == longer


def test_no_time_means_no_step_and_a_later_call_goes_on(run, tmp_path: Path):
    ended = run(tmp_path, "training.steps=1", max_time_s=0.0)
    assert (ended.steps, ended.is_finished) == (0, False)
    assert run(tmp_path, "training.steps=1").is_finished


def test_a_validation_that_was_broken_off_is_made_up_for(run, tmp_path: Path):
    run(tmp_path / "straight", "training.steps=2")
    run(tmp_path / "broken", "training.steps=2")
    provenance = tmp_path / "broken" / "last" / "provenance.json"
    content = json.loads(provenance.read_text())
    line = lines_of(tmp_path / "broken")[-1]
    content["training"] |= {
        "validated": 0,
        "is_finished": False,
        "best_score": -1.0,
        "best_step": 0,
        "loss_sum": 2 * line["loss"],
        "loss_steps": 2,
    }
    provenance.write_text(json.dumps(content))
    (tmp_path / "broken" / "metrics.jsonl").write_text("")
    run(tmp_path / "broken", "training.steps=2")
    assert_same_training(tmp_path / "straight", tmp_path / "broken")


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_leaves_within_ten_seconds(
    run, cohort: Path, tiny_recipe: str, tmp_path: Path, number: signal.Signals, code: int
):
    out = tmp_path / "out"
    changes = [word for change in ("training.steps=5000", "training.batch=8") for word in ("--change", change)]
    start = [sys.executable, "-c", "from lesionlab.cli.main import main; main()", "train", tiny_recipe]
    command = [*start, f"wmh2017:{cohort}", str(out), "--workers", "2", *changes]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as started:
        while not (out / "last").exists():
            assert started.poll() is None
            time.sleep(0.02)
        time.sleep(0.5)
        asked = time.monotonic()
        os.kill(started.pid, number)
        _, said = started.communicate(timeout=30)
        assert time.monotonic() - asked < 10
    assert started.returncode == code
    assert "Traceback" not in said
    step = progress_of(out)["step"]
    assert step > 0
    assert open_checkpoint(out / "last").provenance["training"]["step"] == step
