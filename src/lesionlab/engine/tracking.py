"""A training's settings and numbers in MLflow, for those who keep many trainings there."""

import json
import logging
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from lesionlab.core.errors import OptionError
from lesionlab.core.plan import Plan
from lesionlab.core.storage import write_text_atomically
from lesionlab.core.text_files import read_text

logger = logging.getLogger(__name__)

RUN_FILE = "mlflow_run.txt"
"""Holds the id of a training's run, so that going on with the training goes on with the run."""

_MOST_PARAMETERS = 100
"""So many does MLflow take in one call."""


class Tracking:
    """One run of MLflow for one training; what cannot be written is warned of, and the training goes on.

    A run has the recipe's keys as parameters, the numbers of every validation as metrics, and the paths of what the
    training makes as tags.

    Args:
        where: File of a SQLite database, or the URL of a database or server.
        plan: Of the training; its recipe's name is that of the experiment.
        folder: Of the training.

    Raises:
        OptionError: MLflow is not installed, or `where` cannot be opened.
    """

    def __init__(self, where: str, *, plan: Plan, folder: Path) -> None:
        self._client, self._id = _open(where), ""
        try:
            self._id = self._go_on(folder) or self._begin(plan, folder)
        except _mlflow().exceptions.MlflowException as error:
            raise _unusable(where, error) from error

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """Add the numbers of one moment by name."""
        now_ms = int(time.time() * 1000)
        metrics = [_mlflow().entities.Metric(name, value, now_ms, step) for name, value in numbers.items()]
        self._try("log_batch", metrics=metrics)

    def end(self, *, is_finished: bool) -> None:
        """Mark the run as finished, or as stopped on the way."""
        self._try("set_terminated", status="FINISHED" if is_finished else "KILLED")

    def _try(self, call: str, **arguments: Any) -> None:
        try:
            getattr(self._client, call)(self._id, **arguments)
        except _mlflow().exceptions.MlflowException as error:
            logger.warning("MLflow did not take what the training had to say: %s", str(error).splitlines()[0])

    def _go_on(self, folder: Path) -> str:
        """Return the id of the training's earlier run, if it has one here, and mark it as running."""
        file = folder / RUN_FILE
        if not file.exists():
            return ""
        try:
            run = read_text(file).strip()
        except (OSError, ValueError) as error:
            logger.warning("%s, the id of a run of MLflow, does not read (%s); another is begun", file, error)
            return ""
        try:
            self._client.update_run(run, status="RUNNING")
        except _mlflow().exceptions.MlflowException:
            logger.warning("MLflow does not know the run %s; another is begun", run)
            return ""
        return run

    def _begin(self, plan: Plan, folder: Path) -> str:
        key = self._experiment(plan.recipe.name)
        made = {file: str((folder / file).resolve()) for file in ("best", "last", "tensorboard", "training.html")}
        run = self._client.create_run(key, run_name=folder.name, tags=made).info.run_id
        parameters = [_mlflow().entities.Param(name, value) for name, value in _parameters(plan)]
        for first in range(0, len(parameters), _MOST_PARAMETERS):
            self._client.log_batch(run, params=parameters[first : first + _MOST_PARAMETERS])
        write_text_atomically(folder / RUN_FILE, run + "\n")
        return str(run)

    def _experiment(self, name: str) -> str:
        """Return the id of an experiment, which is begun unless another training does so meanwhile."""
        if found := self._client.get_experiment_by_name(name):
            return str(found.experiment_id)
        try:
            return str(self._client.create_experiment(name))
        except _mlflow().exceptions.MlflowException:
            if not (found := self._client.get_experiment_by_name(name)):
                raise
            return str(found.experiment_id)


def check_tracking(where: str) -> None:
    """Open MLflow once before any work begins; a database that is not there is made.

    Raises:
        OptionError: As `Tracking`.
    """
    _open(where)


def _open(where: str) -> Any:
    found = _mlflow()
    try:
        client = found.MlflowClient(tracking_uri=where if "://" in where else _database_url(Path(where).resolve()))
        client.search_experiments(max_results=1)
    except (found.exceptions.MlflowException, OSError, sqlite3.Error) as error:
        raise _unusable(where, error) from error
    return client


def _database_url(file: Path) -> str:
    """Return the URL of a database that can be opened; MLflow itself would try for many minutes."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA schema_version")
    return f"sqlite:///{file}"


def _parameters(plan: Plan) -> Iterator[tuple[str, str]]:
    yield "layout", plan.layout
    yield "training_cases", str(len(plan.training_cases))
    yield "validation_cases", str(len(plan.validation_cases))
    yield from _flat(plan.recipe.model_dump(mode="json"), prefix="")


def _flat(content: Mapping[str, Any], *, prefix: str) -> Iterator[tuple[str, str]]:
    """Yield every value under its dotted name."""
    for name, value in content.items():
        if isinstance(value, dict):
            yield from _flat(value, prefix=f"{prefix}{name}.")
        else:
            yield prefix + name, value if isinstance(value, str) else json.dumps(value)


def _unusable(where: str, error: Exception) -> OptionError:
    return OptionError(
        "a place where MLflow keeps trainings",
        found=" ".join(str(error).split())[:200],
        where=f"--mlflow {where}",
        next_step="give a file that may be made, such as --mlflow mlflow.db, or the URL of a server that runs",
    )


def _mlflow() -> Any:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # it would tell its makers that it was used
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # a training would wait minutes for a lost server
    try:
        import mlflow
        import mlflow.entities
        import mlflow.exceptions
        import sqlalchemy  # noqa: F401  # of the same extra; MLflow's own message does not say so
    except ImportError as error:
        raise OptionError(
            "MLflow",
            found=f"it is not installed ({error.name})",
            where="--mlflow",
            next_step="pip install 'lesionlab[mlflow]'",
        ) from error
    return mlflow
