"""A training in MLflow: one run however often it is gone on with, with its settings, numbers and paths."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from lesionlab.core.errors import OptionError, StorageError
from lesionlab.engine.checkpoint import open_checkpoint
from lesionlab.engine.tracking import RUN_FILE, Tracking, check_tracking
from lesionlab.workflows.train import Trained, train

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")  # MLflow's use of SQLAlchemy


def test_mlflow_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(OptionError, match=r"pip install 'lesionlab\[mlflow\]'"):
        check_tracking(str(tmp_path / "mlflow.db"))
    assert not list(tmp_path.iterdir())


@pytest.fixture
def mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    return pytest.importorskip("mlflow", reason="the extra mlflow is not installed")


MANY_EXPERIMENTS = """
import sys
from lesionlab.engine import tracking

log = tracking.Tracking.__new__(tracking.Tracking)
log._client = tracking._open(sys.argv[1])
print(*(log._experiment(f"recipe{number}") for number in range(30)))
"""


@pytest.mark.slow
def test_trainings_that_begin_at_once_share_an_experiment(mlflow, tmp_path: Path):
    database = str(tmp_path / "mlflow.db")
    check_tracking(database)
    command = [sys.executable, "-c", MANY_EXPERIMENTS, database]
    at_once = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    answers = [one.communicate(timeout=300) for one in at_once]
    assert [one.returncode for one in at_once] == [0] * 4, answers
    assert len({found.splitlines()[-1] for found, _ in answers}) == 1


@pytest.mark.slow
def test_one_run_per_training(mlflow, cohort: Path, tiny_recipe: str, shared_store: Path, tmp_path: Path):
    def run(stop_after: int) -> None:
        changes = ("sampling.factor=1", "sampling.bonus=0", "training.batch=8", "training.steps=4")
        train(tiny_recipe, f"wmh2017:{cohort}", tmp_path / "out", changes=changes, store=shared_store,
              stop_after=stop_after, mlflow="mlflow.db")  # fmt: skip

    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    states = []
    for stop_after in (3, 4, 4):
        run(stop_after)
        experiment = client.get_experiment_by_name("tiny")
        (found,) = client.search_runs([experiment.experiment_id])
        states.append(found.info.status)
    assert states == ["KILLED", "FINISHED", "FINISHED"]
    assert found.data.params["training.learning_rate"] == "0.003"
    assert found.data.params["network.options.widths"] == "[4, 4, 8, 8, 8]"
    assert found.data.tags["best"] == str(tmp_path / "out" / "best")
    lines = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    history = client.get_metric_history(found.info.run_id, "validation_dice")
    assert [(one.step, one.value) for one in history] == [(line["step"], line["validation_dice"]) for line in lines]
    assert {path.name for path in tmp_path.iterdir()} == {"out", "mlflow.db"}, "nothing else is left lying about"


@pytest.mark.slow
def test_a_place_that_cannot_be_used_is_refused_before_any_work(mlflow, tmp_path: Path):
    for where in (str(tmp_path), "nowhere://at-all"):
        with pytest.raises(OptionError, match="--mlflow"):
            check_tracking(where)


@pytest.mark.slow
def test_a_run_file_that_does_not_read_begins_another_run_or_is_refused(
    mlflow, trained: Trained, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    plan = open_checkpoint(trained.folder).plan
    where = str(tmp_path / "mlflow.db")
    for content in (b"", b"\0\1\2", b"[" * 100_000, b"no run\nof MLflow\n"):
        caplog.clear()
        (tmp_path / RUN_FILE).write_bytes(content)
        Tracking(where, plan=plan, folder=tmp_path)
        assert sum("another is begun" in message for message in caplog.messages) == 1
        assert len((tmp_path / RUN_FILE).read_text().strip()) == 32
    (tmp_path / RUN_FILE).unlink()
    (tmp_path / RUN_FILE).mkdir()
    with pytest.raises(StorageError, match=RUN_FILE):
        Tracking(where, plan=plan, folder=tmp_path)


@pytest.mark.slow
def test_a_training_goes_on_when_mlflow_does_not(
    mlflow, trained: Trained, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    where = str(tmp_path / "mlflow.db")
    tracking = Tracking(where, plan=open_checkpoint(trained.folder).plan, folder=tmp_path)
    run = (tmp_path / "mlflow_run.txt").read_text().strip()
    mlflow.MlflowClient(tracking_uri=f"sqlite:///{where}").delete_run(run)
    with caplog.at_level(logging.WARNING):
        tracking.write(1, {"loss": 1.0})
    assert "MLflow did not take" in caplog.text
