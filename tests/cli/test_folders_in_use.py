"""Every command that writes into a folder refuses one that another process is writing into, and says which."""

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from test_every_option import CALLED

from lesionlab.cli.main import main
from lesionlab.core.folder_lock import lock_folder
from lesionlab.workflows.fix import RECORD_FILE
from lesionlab.workflows.predict import predict
from lesionlab.workflows.train import Trained

COMMANDS = {
    "demo:run_demo": "demo {run}",
    "fix:fix": "check {data} --fix {run}",
    "convert:convert": "convert {data} bids {run}",
    "pretrain:pretrain": "pretrain pretrain_t1 {data} {run}",
    "train:train": "train {recipe} {data} {run} --store {store}",
    "train_many:train_many": "train {recipe} {data} {run} --store {store} --seeds 2",
    "tune:tune": "tune {run}/best {data}",
    "search:search": "tune {run} {data} --hyperparameters {study}",
    "predict:predict": "predict {run} {data} {run}",
    "embed:embed": "embed {data} {run}",
    "evaluate:evaluate": "evaluate {run} {data} {run}",
    "longitudinal:evaluate_longitudinal": "evaluate {run} {data} {run} --longitudinal",
    "modality_subsets:evaluate_subsets": "evaluate {run} {data} {run} --modality-subsets",
    "compare:compare": "compare a={run} b={run} {run}",
    "import_weights:import_checkpoint": "import-weights {run}/weights.pth {run} --as synapse_net --recipe {recipe} "
    "--layout wmh2017",
}
"""What does a command's work -> a way to call it that writes into the folder RUN."""

WITHOUT_A_FOLDER = {"check:check", "check.finding:write_findings", "splits:split"}
"""These write nothing, or one file."""

HOLD = """
import sys
from pathlib import Path
from lesionlab.core.folder_lock import lock_folder
with lock_folder(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A folder that another process holds.

    Attributes:
        words: What the commands are given by name.
        folder: The folder.
        process: Who holds it.
    """

    words: dict[str, str]
    folder: Path
    process: int


@pytest.fixture(scope="module")
def held(
    trained: Trained, cohort: Path, tiny_recipe: str, shared_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Held]:
    """A training with modality dropout that is held, and that every command takes for a folder of its own."""
    parent = tmp_path_factory.mktemp("held")
    run, study = Path(shutil.copytree(trained.folder, parent / "run")), parent / "study.toml"
    plan = json.loads((run / "best" / "plan.json").read_text())
    plan["recipe"]["training"]["modality_dropout"] = 0.5
    (run / "best" / "plan.json").write_text(json.dumps(plan))
    (run / RECORD_FILE).touch()  # as in the folder of earlier repairs
    study.write_text(f'recipe = "{tiny_recipe}"\n[ranges]\n"training.batch" = {{ values = [2, 4] }}\n')
    words = {
        "run": run, "data": f"wmh2017:{cohort}", "recipe": tiny_recipe, "store": shared_store, "study": study
    }  # fmt: skip
    with subprocess.Popen([sys.executable, "-c", HOLD, run], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield Held(words={name: str(word) for name, word in words.items()}, folder=run, process=process.pid)
        process.stdin.close()


def test_every_command_that_writes_a_folder_is_tried():
    called = {function for functions in CALLED.values() for function in functions}
    assert called - WITHOUT_A_FOLDER == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_folder_in_use_is_refused_and_stays_as_it_is(name: str, held: Held, capsys: pytest.CaptureFixture[str]):
    before = {path: path.stat().st_mtime_ns for path in held.folder.rglob("*")}
    with pytest.raises(SystemExit) as ended:
        main([word.format(**held.words) for word in COMMANDS[name].split()])
    said = capsys.readouterr().err.splitlines()[-1]
    assert ended.value.code == 1
    assert f"found process {held.process} on {socket.gethostname()}, since 20" in said
    assert f"in {held.folder};" in said
    assert {path: path.stat().st_mtime_ns for path in held.folder.rglob("*")} == before


def test_a_checkpoint_may_be_read_while_it_is_trained(trained: Trained, cohort: Path, tmp_path: Path):
    folder = Path(shutil.copytree(trained.folder, tmp_path / "run"))
    with lock_folder(folder):
        assert predict(folder, f"wmh2017:{cohort}", tmp_path / "masks", split="test").failures == {}
