"""The verbs that make networks better: train, and tune what they were trained with."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import UseAppendAction

from lesionlab.cli.durations import read_limit
from lesionlab.cli.ignored import refuse_ignored
from lesionlab.cli.made_files import name_files
from lesionlab.cli.verbs import CheckpointFolder, Data, Out, RecipeName
from lesionlab.core.errors import OptionError

if TYPE_CHECKING:
    from lesionlab.workflows.train import Trained

MADE = ("best", "last", "metrics.jsonl", "training.html")


def train(
    recipe: RecipeName,
    data: Data,
    out: Out,
    /,
    *,
    change: UseAppendAction[tuple[str, ...]] = (),
    start_from: UseAppendAction[tuple[str, ...]] = (),
    store: Path | None = None,
    workers: int = 0,
    stop_after: int | None = None,
    max_time: str | None = None,
    extend: bool = False,
    fraction: float = 1.0,
    split_file: Path | None = None,
    fold: str | None = None,
    seeds: int = 1,
    cluster: str | None = None,
    mlflow: str | None = None,
) -> int:
    """Train a network, or go on where an earlier, interrupted training ended.

    Args:
        recipe: Name of a recipe (lesionlab list recipes) or path of a TOML file.
        data: Layout and folder of the dataset.
        out: Folder for checkpoints, metrics.jsonl and TensorBoard's files.
        change: Override of the recipe, such as training.steps=500; may be repeated.
        start_from: KIND:FILE of weights to begin with as far as they fit, such as own:weights.safetensors,
            published:best.pth or, for hetero_med_seg, vssd:FILE and biformer:FILE; may be repeated.
        store: Folder for prepared cases, to share them between trainings.
        workers: Processes that prepare samples.
        stop_after: Stop at this step; the same command without it goes on.
        max_time: Stop after this time, such as 45m, 12h or 1h30m; the same command goes on.
        extend: Let more steps or epochs be asked for than the training began with.
        fraction: Share of the training patients to learn from, such as 0.1; of every category alike.
        split_file: Which case is for training, validation or test, as lesionlab split writes it.
        fold: The fold of the split file that validates, or "all" for a training per fold, one after the other.
        seeds: Train so often, each time with another seed.
        cluster: Do the trainings of all folds and seeds at once: local:4 in four processes of this machine, or
            tcp://HOST:8786 on the workers of a Dask scheduler.
        mlflow: Keep settings and numbers in MLflow too: the file of a database, such as mlflow.db, or a server's URL.
    """
    if seeds > 1 or fold == "all" or cluster is not None:
        refuse_ignored(train, locals(), "stop_after", because="only for a single training")
        return _train_many(
            recipe, data, out, fold=fold, seeds=seeds, change=change, start_from=start_from, store=store,
            workers=workers, max_time=max_time, extend=extend, fraction=fraction, split_file=split_file,
            cluster=cluster, mlflow=mlflow,
        )  # fmt: skip

    if not (out / "last").exists():
        refuse_ignored(train, locals(), "extend", because="only for a training that has begun")
    from lesionlab.workflows.train import train as run

    trained = run(
        recipe, data, out,
        changes=change,
        start_from=start_from,
        store=store,
        workers=workers,
        stop_after=stop_after,
        max_time_s=read_limit(max_time),
        extend=extend,
        fraction=fraction,
        split_file=split_file,
        fold=None if fold is None else read_fold(fold),
        mlflow=mlflow,
    )  # fmt: skip
    state = "finished" if trained.is_finished else "stopped, to be gone on with"
    print(f"{state} at step {trained.steps}; {describe_best(trained)}")
    return name_files(path for path in (out / name for name in MADE) if path.exists())


def tune(
    checkpoint: CheckpointFolder,
    data: Data,
    /,
    *,
    score: str = "dice",
    hyperparameters: Path | None = None,
    workers: int = 0,
    split_file: Path | None = None,
) -> int:
    """Choose threshold and smallest lesion on the validation cases, or search for hyper-parameters of a training.

    Args:
        checkpoint: Folder of a training or checkpoint; with --hyperparameters the folder for the search's trainings.
        data: Layout and folder of the dataset it was trained with.
        score: Metric to be highest on average (lesionlab list metrics).
        hyperparameters: A study as TOML: recipe, trials, and the ranges of the keys that are varied.
        workers: Processes that prepare samples in a search.
        split_file: Which case is in which part; its test cases are refused, and a search takes a fold of it.
    """
    if hyperparameters is not None:
        refuse_ignored(tune, locals(), "score", because="only without --hyperparameters")
        return _search(hyperparameters, data, checkpoint, workers=workers, split_file=split_file)

    refuse_ignored(tune, locals(), "workers", because="only with --hyperparameters")

    from lesionlab.workflows.tune import tune as run

    tuned = run(checkpoint, data, score=score, split_file=split_file)
    setting = tuned.postprocessing
    smallest = (
        f", smallest lesion {setting.smallest_lesion_mm3:g} {tuned.size_unit}" if tuned.has_smallest_lesion else ""
    )
    print(f"threshold {setting.threshold:g}{smallest}: {tuned.score_name} {tuned.score:.3f} ({setting.chosen_by})")
    return name_files(tuned.files)


def describe_best(trained: "Trained") -> str:
    """Return the best validation score in words; before the first validation there is none."""
    if trained.best_score < 0:
        return "no validation yet"
    return f"best validation {trained.chosen_by} {trained.best_score:.3f}"


def read_fold(text: str) -> int:
    """Return the number of a fold.

    Raises:
        OptionError: It is none.
    """
    if not text.isdigit():
        raise OptionError('the number of a fold, or "all"', found=text, where="--fold", next_step="write --fold 0")
    return int(text)


def _search(study: Path, data: str, out: Path, *, workers: int, split_file: Path | None) -> int:
    from lesionlab.workflows.search import search

    found = search(study, data, out, workers=workers, split_file=split_file)
    print(f"best validation score {found.score:.3f} with {', '.join(found.changes)}")
    return name_files(found.files)


def _train_many(
    recipe: str,
    data: str,
    out: Path,
    *,
    fold: str | None,
    seeds: int,
    change: Sequence[str],
    start_from: Sequence[str],
    store: Path | None,
    workers: int,
    max_time: str | None,
    extend: bool,
    fraction: float,
    split_file: Path | None,
    cluster: str | None,
    mlflow: str | None,
) -> int:
    if not any(out.glob("*/last")):
        refuse_ignored(train, locals(), "extend", because="only for trainings of which one has begun")

    from lesionlab.workflows.train_many import folds_of, train_many

    folds = () if fold is None else folds_of(split_file) if fold == "all" else (read_fold(fold),)
    done = train_many(
        recipe, data, out, folds=folds, seeds=seeds, changes=change, start_from=start_from, store=store,
        workers=workers, max_time_s=read_limit(max_time), extend=extend, fraction=fraction, split_file=split_file,
        cluster=cluster, mlflow=mlflow,
    )  # fmt: skip
    for trained in done.trainings:
        state = "finished" if trained.is_finished else "stopped"
        print(f"{trained.folder.name}: {state} at step {trained.steps}; {describe_best(trained)}")
    return name_files([done.summary], failures=done.failures)
