"""Search for hyper-parameters: many short trainings, the hopeless ones cut off."""

import csv
import io
import itertools
import json
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lesionlab.core.augmentation import augmentation
from lesionlab.core.errors import OptionError, RecipeError, StorageError
from lesionlab.core.folder_lock import lock_folder
from lesionlab.core.ignored_option import ignored_option
from lesionlab.core.loss import loss
from lesionlab.core.network import network
from lesionlab.core.numbers import NonNegativeInt
from lesionlab.core.problems import first_problem
from lesionlab.core.recipe import Choice, Recipe, is_whole_number, read_recipe, takes_whole_numbers
from lesionlab.core.registry import Registry
from lesionlab.core.storage import write_bytes_atomically, write_text_atomically
from lesionlab.core.text_files import read_toml
from lesionlab.engine.ignored_keys import TRAINING_KEYS, ignored_keys
from lesionlab.workflows.train import train

if TYPE_CHECKING:
    import optuna

logger = logging.getLogger(__name__)

JOURNAL_FILE, TABLE_FILE, BEST_FILE = "study.journal", "trials.csv", "best_changes.txt"


class Range(BaseModel):
    """What one key of a recipe may be: one of `values`, or a number from `low` to `high`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    values: tuple[str | int | float | bool, ...] = ()
    low: int | float | None = None
    high: int | float | None = None
    log: bool = False

    @model_validator(mode="after")
    def _check_ends(self) -> "Range":
        has_ends = self.low is not None and self.high is not None
        if bool(self.values) == has_ends or (self.values and (self.low, self.high, self.log) != (None, None, False)):
            raise ValueError("either values, or low and high")
        if self.low is not None and self.high is not None:
            if not self.low < self.high:
                raise ValueError("low below high")
            if self.log and self.low <= 0:
                raise ValueError("low above 0 where log = true")
        return self

    def suggest(self, trial: "optuna.Trial", key: str, *, is_whole: bool | None = None) -> Any:
        """Return the value that the study tries next.

        Args:
            trial: Of the study.
            key: Of the recipe.
            is_whole: Whether it takes whole numbers only; None lets the recipe's schema say it, and of an option that
                it does not know, whether both ends are written as whole numbers.
        """
        if self.values:
            return trial.suggest_categorical(key, self.values)
        assert self.low is not None
        assert self.high is not None
        if is_whole is None:
            is_whole = is_whole_number(key)
        if is_whole is None:
            is_whole = isinstance(self.low, int) and isinstance(self.high, int)
        if is_whole:
            return trial.suggest_int(key, math.ceil(self.low), math.floor(self.high), log=self.log)
        return trial.suggest_float(key, self.low, self.high, log=self.log)


class Study(BaseModel):
    """A search, as its TOML file says.

    Attributes:
        recipe: What is varied.
        trials: How many trainings there shall be, cut off ones included.
        ranges: "section.key" of the recipe -> what it may be.
        changes: The same for all trials.
        fold: That validates, with a split file.
        steady_validations: So many at the beginning of a training never cut it off.
        storage: Database URL that many machines share; a journal file beside the results without it.
        seed: Of the search.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str
    trials: int = Field(default=20, ge=1)
    ranges: dict[str, Range] = Field(min_length=1)
    changes: tuple[str, ...] = ()
    fold: NonNegativeInt = 0
    steady_validations: NonNegativeInt = 2
    storage: str = ""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """What a search found.

    Attributes:
        score: The best validation score of all trials.
        changes: "key=value" of that trial, as `train` takes them.
        files: Table of the trials, and the changes as a file.
    """

    score: float
    changes: tuple[str, ...]
    files: tuple[Path, ...]


def search(
    study_file: Path,
    data: str,
    out: Path,
    *,
    store: Path | None = None,
    workers: int = 0,
    split_file: Path | None = None,
) -> Searched:
    """Train with one choice of hyper-parameters after the other; what is below the median of the others is cut off.

    The search can be interrupted and repeated, and run on many machines at once with a database as `storage`.

    Args:
        study_file: The study as TOML; see `Study`.
        data: LAYOUT:FOLDER.
        out: Where trials, table and best changes go.
        store: Where prepared cases are kept; ``out/store`` without it.
        workers: Processes that prepare samples.
        split_file: Which case is for training and validation; the study's fold of it validates.

    Raises:
        OptionError: The study cannot be read, names a fold without a split file, or Optuna is not installed.
        FolderInUseError: Another command is writing into `out`.
        LesionlabError: Recipe or data cannot be used.
    """
    settings = read_study(study_file)
    if split_file is None and "fold" in settings.model_fields_set:
        raise ignored_option("fold", value=f"= {settings.fold}", because="only with --split-file", where=study_file)
    recipe = read_recipe(settings.recipe, changes=settings.changes)

    def objective(trial: "optuna.Trial") -> float:
        values = {
            key: _written(limits.suggest(trial, key, is_whole=_is_whole_option(recipe, key)))
            for key, limits in settings.ranges.items()
        }

        validations = itertools.count()

        def watch(_step: int, score: float) -> bool:
            trial.report(score, next(validations))
            return trial.should_prune()

        try:
            changes = _effective(settings, values)
            trial.set_user_attr("changes", changes)
            trained = train(
                settings.recipe,
                data,
                out / f"trial{trial.number}",
                changes=(*settings.changes, *changes),
                store=store or out / "store",
                workers=workers,
                split_file=split_file,
                fold=settings.fold if split_file else None,
                watch=watch,
            )
        except (OptionError, RecipeError) as error:  # values that do not belong together; others may
            logger.warning("trial %d: %s", trial.number, error)
            trial.set_user_attr("refused", str(error))
            raise _optuna().TrialPruned from error
        if not trained.is_finished:
            raise _optuna().TrialPruned
        return trained.best_score

    return _run_trials(settings, objective, out=out)


def _effective(settings: Study, values: Mapping[str, str]) -> list[str]:
    """Return the changes of a trial, without keys that its other values leave without effect.

    Raises:
        RecipeError: They make no recipe.
    """
    changed = read_recipe(
        settings.recipe, changes=(*settings.changes, *(f"{key}={value}" for key, value in values.items()))
    )
    idle = {key for key, _ in ignored_keys(changed, TRAINING_KEYS)}
    return [f"{key}={value}" for key, value in values.items() if key not in idle]


def _run_trials(settings: Study, objective: "Callable[[optuna.Trial], float]", *, out: Path) -> Searched:
    """Train until there are as many trials as the study says, and write the results, holding the folder.

    With a database, several machines may search in one folder at once, each in trials of its own; then the folder is
    held for the results alone.
    """
    with ExitStack() as held:
        if not settings.storage:
            held.enter_context(lock_folder(out))
        study = _open_study(settings, out)
        over = [trial for trial in study.trials if trial.state.is_finished()]
        study.optimize(objective, n_trials=max(0, settings.trials - len(over)))
        if settings.storage:
            held.enter_context(lock_folder(out))
        return _write(study, out)


def read_study(path: Path) -> Study:
    """Read a study's file.

    Raises:
        OptionError: It is no TOML, or no study.
    """
    try:
        return Study.model_validate(read_toml(path))
    except ValidationError as error:
        problem = first_problem(error)
        key = ".".join(problem.key)
        raise OptionError(
            "a study: recipe, trials and ranges" + (f", {key}: {problem.wanted}" if problem.wanted else ""),
            found=problem.found,
            where=path,
            next_step="correct that; docs/training.md has an example",
        ) from error
    except (OSError, ValueError) as error:
        raise OptionError(
            "a study: recipe, trials and ranges",
            found=" ".join(str(error).split())[:200],
            where=path,
            next_step="correct that; docs/training.md has an example",
        ) from error


def _open_study(settings: Study, out: Path) -> "optuna.Study":
    found = _optuna()
    found.logging.set_verbosity(found.logging.WARNING)
    out.mkdir(parents=True, exist_ok=True)
    journal = out / JOURNAL_FILE
    try:
        if not settings.storage and journal.exists():
            _drop_what_was_cut_off(journal)
        storage: Any = settings.storage or found.storages.JournalStorage(
            found.storages.journal.JournalFileBackend(str(journal))
        )
        study: "optuna.Study" = found.create_study(
            study_name=out.name,
            storage=storage,
            load_if_exists=True,
            direction="maximize",
            sampler=found.samplers.TPESampler(seed=settings.seed),
            pruner=found.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=settings.steady_validations),
        )
        study.get_trials(deepcopy=False)  # so that every line is read here
    except Exception as error:  # Optuna meets damage, and a database that it does not reach, with errors of many kinds
        raise StorageError(
            "a study that Optuna can open",
            found=f"{type(error).__name__}: {' '.join(str(error).split())[:200]}",
            where=settings.storage or journal,
            next_step="correct storage in the study, or search into another folder",
        ) from error
    return study


def _drop_what_was_cut_off(journal: Path) -> None:
    """Make a journal whole again whose last line was cut off by a kill: Optuna would write on behind that half line.

    Raises:
        ValueError: Another line is damaged.
    """
    lines = journal.read_bytes().splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            json.loads(line)
        except ValueError as error:
            if number < len(lines):
                raise ValueError(f"line {number} is damaged") from error
            logger.warning("%s: the last line was cut off, and is left out", journal)
            lines.pop()
    write_bytes_atomically(journal, b"".join(line + b"\n" for line in lines))


def _is_whole_option(recipe: Recipe, key: str) -> bool | None:
    """Return whether an option of network, loss or augmentation takes whole numbers; None for other keys."""
    section, _, option = key.partition(".options.")
    registries: dict[str, Registry[Any]] = {"network": network, "loss": loss, "augmentation": augmentation}
    if not option or section not in registries:
        return None
    choice: Choice = getattr(recipe, section)
    field = registries[section].schema(choice.name).model_fields.get(option)
    return None if field is None else takes_whole_numbers(field.annotation)


def _optuna() -> Any:
    try:
        import optuna
        import optuna.storages.journal
    except ImportError as error:
        raise OptionError(
            "Optuna, which searches", found="it is not installed", where="--hyperparameters",
            next_step="pip install 'lesionlab[search]'",
        ) from error  # fmt: skip
    return optuna


def _written(value: str | int | float | bool) -> str:
    """Return a value as TOML has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else repr(value)


def _write(study: "optuna.Study", out: Path) -> Searched:
    finished = [trial for trial in study.trials if trial.value is not None]
    if not finished:
        refused = [trial.user_attrs["refused"] for trial in study.trials if "refused" in trial.user_attrs]
        raise OptionError(
            "at least one training that came to its end",
            found=f"none; the last one was refused: {refused[-1]}" if refused else "none",
            where=out,
            next_step="change the ranges of the study" if refused else "raise trials in the study",
        )
    best = max(finished, key=lambda trial: trial.value or 0.0)
    changes = tuple(best.user_attrs["changes"])
    keys = sorted({key for trial in study.trials for key in trial.params})
    write_text_atomically(out / TABLE_FILE, _table(study.trials, keys))
    write_text_atomically(out / BEST_FILE, "".join(f"--change {change}\n" for change in changes))
    return Searched(score=best.value or 0.0, changes=changes, files=(out / TABLE_FILE, out / BEST_FILE))


def _table(trials: "Sequence[optuna.trial.FrozenTrial]", keys: Sequence[str]) -> str:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["trial", "state", "validations", "score", *keys])
    for trial in trials:
        seen = trial.intermediate_values
        score = trial.value if trial.value is not None else max(seen.values(), default="")
        writer.writerow(
            [trial.number, trial.state.name.lower(), len(seen), score, *(trial.params.get(key, "") for key in keys)]
        )
    return stream.getvalue()
