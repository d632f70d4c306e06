"""One recipe trained with several seeds, and once for every fold of a split."""

import itertools
import json
import logging
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lesionlab.core.errors import OptionError
from lesionlab.core.recipe import read_recipe
from lesionlab.core.split import read_split
from lesionlab.core.storage import write_text_atomically
from lesionlab.engine.cluster import Gathered, check_cluster, gather
from lesionlab.engine.ranks import hold_folder, make_training_fabric
from lesionlab.engine.tracking import check_tracking
from lesionlab.workflows.division import open_divided
from lesionlab.workflows.train import Trained, train
from lesionlab.workflows.training_data import choose_cases

logger = logging.getLogger(__name__)

SUMMARY_FILE = "trainings.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedMany:
    """What several trainings left behind.

    Attributes:
        trainings: Each with a folder of its own, in the order of folds and seeds.
        failures: Why the others were not finished, by name of their folder; only those of a cluster.
        summary: The file with their scores, mean and standard deviation.
    """

    trainings: tuple[Trained, ...]
    failures: dict[str, str]
    summary: Path


def train_many(
    recipe: str,
    data: str,
    out: Path,
    *,
    folds: Sequence[int] = (),
    seeds: int = 1,
    changes: Sequence[str] = (),
    start_from: Sequence[str] = (),
    store: Path | None = None,
    workers: int = 0,
    max_time_s: float | None = None,
    extend: bool = False,
    fraction: float = 1.0,
    split_file: Path | None = None,
    mlflow: str | None = None,
    cluster: str | None = None,
) -> TrainedMany:
    """Train once per fold and seed, one after the other or on a cluster; a later call goes on where this one ended.

    The trainings go to ``out/fold0-seed0`` and so on and share prepared cases. Without a split file, another seed also
    chooses other validation cases.

    Args:
        recipe: Name or TOML file.
        data: LAYOUT:FOLDER.
        out: Where the trainings go.
        folds: Of the split file; none trains on its parts as they are.
        seeds: How many: the recipe's seed and the ones that follow it.
        changes: As for `train`, as all that is not named here.
        start_from: Weights to begin with.
        store: Where prepared cases are kept; ``out/store`` without it.
        workers: Processes that prepare samples.
        max_time_s: For all trainings together.
        extend: Let them become longer.
        fraction: Share of the training patients.
        split_file: Which case is in which fold.
        mlflow: Where MLflow keeps their numbers, if it shall.
        cluster: "local:NUMBER" of processes, or the address of a Dask scheduler whose workers see the same folders;
            one training that fails then stops no other. Without it the first that fails ends the call.

    Raises:
        FolderInUseError: Another command is writing into `out`.
        LesionlabError: As `train`; or there is no such cluster.
    """
    if cluster is not None:
        check_cluster(cluster)
    if mlflow is not None:
        check_tracking(mlflow)
    store = store or out / "store"
    settings = read_recipe(recipe, changes=changes).training
    first = settings.seed
    begin = partial(
        train, recipe, data, start_from=start_from, store=store, workers=workers, extend=extend, fraction=fraction,
        split_file=split_file, mlflow=mlflow,
    )  # fmt: skip
    ends_at = math.inf if max_time_s is None else time.time() + max_time_s
    jobs: dict[str, Callable[[], Trained]] = {}
    for fold, seed in itertools.product(folds or (None,), range(first, first + seeds)):
        name = f"seed{seed}" if fold is None else f"fold{fold}-seed{seed}"
        changed = (*changes, f"training.seed={seed}")
        jobs[name] = partial(_train_until, ends_at, partial(begin, out / name, changes=changed, fold=fold))
    fabric = make_training_fabric(settings.precision)
    with hold_folder(fabric, out):
        if cluster is None:
            done = Gathered(results={name: job() for name, job in jobs.items()}, failures={})
        else:
            _, layout = open_divided(data, split_file, fold=min(folds, default=None))
            cases = choose_cases(read_recipe(recipe, changes=changes), layout, where=data)
            cases.store(store)  # once, not in each process
            done = gather(jobs, where=cluster)
        trainings = tuple(done.results.values())
        if trainings and fabric.is_global_zero:
            write_text_atomically(out / SUMMARY_FILE, json.dumps(_summary(trainings), indent=1) + "\n")
        return TrainedMany(trainings=trainings, failures=done.failures, summary=out / SUMMARY_FILE)


def _train_until(ends_at: float, begin: Callable[..., Trained]) -> Trained:
    """Train in what is left of the time until `ends_at`, in seconds since the epoch, which all machines agree on."""
    left_s = ends_at - time.time()
    trained = begin(max_time_s=None if math.isinf(left_s) else left_s)
    logger.info("%s: at step %d", trained.folder.name, trained.steps)
    return trained


def folds_of(split_file: Path | None) -> tuple[int, ...]:
    """Return the folds of a split file.

    Raises:
        OptionError: There is no file, or it knows no folds.
        SplitError: The file cannot be read.
    """
    folds = () if split_file is None else read_split(split_file).folds
    if not folds:
        raise OptionError(
            "a split file with folds",
            found="none" if split_file is None else "one without",
            where="--fold all",
            next_step="make one (lesionlab split --folds 5) and give it as --split-file",
        )
    return folds


def _summary(trainings: Sequence[Trained]) -> dict[str, object]:
    scores = [trained.best_score for trained in trainings]
    return {
        "chosen_by": trainings[0].chosen_by,
        "mean": statistics.fmean(scores),
        "standard_deviation": statistics.stdev(scores) if len(scores) > 1 else None,
        "trainings": [
            {"folder": trained.folder.name, "steps": trained.steps, "score": trained.best_score,
             "is_finished": trained.is_finished} for trained in trainings
        ],
    }  # fmt: skip
