"""Every command that writes into a folder refuses one that another command is writing into."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lesionlab.core.errors import FolderInUseError
from lesionlab.core.folder_lock import lock_folder
from lesionlab.workflows.convert import convert
from lesionlab.workflows.embed import embed
from lesionlab.workflows.evaluate import evaluate
from lesionlab.workflows.fix import RECORD_FILE, fix
from lesionlab.workflows.predict import predict
from lesionlab.workflows.train import Trained, train
from lesionlab.workflows.tune import tune

Command = Callable[[Path, str, str, Path], object]

COMMANDS: dict[str, Command] = {
    "train": lambda training, data, recipe, store: train(recipe, data, training, store=store),
    "tune": lambda training, data, _recipe, _store: tune(training / "best", data),
    "predict": lambda training, data, _recipe, _store: predict(training / "best", data, training),
    "embed": lambda training, data, _recipe, _store: embed(data, training),
    "convert": lambda training, data, _recipe, _store: convert(data, "bids", training),
    "check --fix": lambda training, data, _recipe, _store: fix(data, training),
    "evaluate": lambda training, data, _recipe, _store: evaluate(training, data, training),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_folder_in_use_is_refused_and_stays_as_it_is(
    name: str, trained: Trained, cohort: Path, tiny_recipe: str, shared_store: Path, tmp_path: Path
):
    folder = Path(shutil.copytree(trained.folder, tmp_path / "run"))
    (folder / RECORD_FILE).touch()  # as in the folder of earlier repairs
    before = sorted(path.relative_to(folder) for path in folder.rglob("*"))
    with lock_folder(folder), pytest.raises(FolderInUseError, match="process"):
        COMMANDS[name](folder, f"wmh2017:{cohort}", tiny_recipe, shared_store)
    assert sorted(path.relative_to(folder) for path in folder.rglob("*")) == before


def test_a_checkpoint_may_be_read_while_it_is_trained(trained: Trained, cohort: Path, tmp_path: Path):
    folder = Path(shutil.copytree(trained.folder, tmp_path / "run"))
    with lock_folder(folder):
        assert predict(folder, f"wmh2017:{cohort}", tmp_path / "masks", split="test").failures == {}
