"""Several processes train as one would."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lightning_fabric import Fabric
from safetensors.torch import load_file
from tiny_training import write_recipe

from lesionlab.core.errors import OptionError
from lesionlab.core.folder_lock import lock_folder
from lesionlab.engine.checkpoint import open_checkpoint
from lesionlab.engine.ranks import check_share, is_wanted_anywhere, processes


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, (1, 1)),
        ({"LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "6"}, (2, 3)),
        ({"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "8", "SLURM_STEP_NUM_NODES": "2"}, (4, 2)),
        ({"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1", "SLURM_STEP_NUM_NODES": "1"}, (1, 1)),
        ({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4"}, (1, 1)),
    ],
)
def test_the_environment_says_how_many(environment: dict[str, str], expected: tuple[int, int]):
    """The last is a batch script itself, not one of the tasks that it starts."""
    assert processes(environment) == expected


def test_a_batch_is_shared_evenly_or_not_at_all():
    class OfThree:
        world_size = 3

    fabric = Fabric(accelerator="cpu", devices=1)
    check_share(fabric, batch=7)
    fabric._strategy = OfThree()  # type: ignore[assignment]
    with pytest.raises(OptionError, match=r"3 processes can share evenly; found 7; .*training\.batch=9"):
        check_share(fabric, batch=7)


def test_a_process_alone_asks_nobody():
    fabric = Fabric(accelerator="cpu", devices=1)
    assert is_wanted_anywhere(fabric, True)
    assert not is_wanted_anywhere(fabric, False)


INSTANCE_NORM = """
name = "tiny3d"
modalities = ["flair", "t1"]
[network]
name = "unet"
options = { widths = [4, 4, 8, 8, 8] }
[loss]
name = "dice_cross_entropy"
[sampling]
size = [32, 32, 16]
[augmentation]
name = "flips_and_intensity"
[training]
steps = 1
batch = 4
learning_rate = 1e-2
precision = "float32"
averaging = 0.9
[inference]
overlap = 0.0
"""
COMMAND = "from lesionlab.cli.main import main; main()"
TWO = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


@pytest.mark.slow
def test_two_processes_find_the_gradients_of_one(tmp_path: Path, cohort: Path):
    """Instance norm and no dropout: what each process computes then does not depend on who computes it."""
    recipe = write_recipe(tmp_path / "tiny3d.toml", INSTANCE_NORM)
    (tmp_path / "train.py").write_text(COMMAND)
    for out, start in (("one", [sys.executable]), ("two", TWO)):
        words = ["train", recipe, f"wmh2017:{cohort}", str(tmp_path / out)]
        subprocess.run(
            [*start, str(tmp_path / "train.py"), *words], check=True, capture_output=True, env=_environment()
        )
    first, second = (load_file(tmp_path / out / "last" / "training.safetensors") for out in ("one", "two"))
    gradients = [name for name in first if name.endswith("exp_avg")]  # a tenth of them after the first step of Adam
    assert len(gradients) > 10
    assert max(10 * float((first[name] - second[name]).abs().max()) for name in gradients) < 1e-6
    assert max(10 * float(first[name].abs().max()) for name in gradients) > 1e-3
    lines = [json.loads((tmp_path / out / "metrics.jsonl").read_text().splitlines()[-1]) for out in ("one", "two")]
    assert lines[0]["loss"] == pytest.approx(lines[1]["loss"], abs=1e-6)


AS_ON_GPUS = """
import dataclasses, json, os, sys
import lightning_fabric.fabric as fabric
from pathlib import Path
from lesionlab.workflows.train import train

move = fabric.convert_to_tensors
fabric.convert_to_tensors = lambda data, device: move(data, device).clone()
recipe, data, out = sys.argv[1:]
changes = ["training.steps=12", "validation.share=0.5", "validation.patience=2", "sampling.patches_per_case=2"]
trained = train(recipe, data, Path(out), changes=changes)
found = dataclasses.asdict(trained) | {"folder": ""}
Path(out, os.environ["RANK"] + ".json").write_text(json.dumps(found))
"""


@pytest.mark.slow
def test_processes_agree_where_a_device_has_memory_of_its_own(tmp_path: Path, cohort: Path):
    """What is moved to a GPU is a copy; each process must still know the scores of all, and end with the others."""
    recipe = write_recipe(tmp_path / "tiny3d.toml", INSTANCE_NORM)
    (tmp_path / "train.py").write_text(AS_ON_GPUS)
    command = [*TWO, str(tmp_path / "train.py"), recipe, f"wmh2017:{cohort}", str(tmp_path / "out")]
    subprocess.run(command, check=True, capture_output=True, env=_environment(), timeout=300)
    first, second = (json.loads((tmp_path / "out" / f"{rank}.json").read_text()) for rank in (0, 1))
    assert first == second
    assert first["is_finished"]


@pytest.mark.slow
def test_kill_9_of_one_process_ends_both_and_the_training_goes_on(tmp_path: Path, cohort: Path):
    recipe = write_recipe(tmp_path / "tiny3d.toml", INSTANCE_NORM)
    (tmp_path / "train.py").write_text(COMMAND)

    def command(out: str, steps: int) -> list[str]:
        changes = ("--change", f"training.steps={steps}")
        return [*TWO, str(tmp_path / "train.py"), "train", recipe, f"wmh2017:{cohort}", str(tmp_path / out), *changes]

    out = tmp_path / "killed"
    with subprocess.Popen(
        command("killed", 4000), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=_environment(), text=True
    ) as started:
        while not (out / "last").exists():
            assert started.poll() is None, "it ended before it could be killed"
            time.sleep(0.02)
        ranks = _children(started.pid)
        assert len(ranks) == 2
        os.kill(ranks[1], signal.SIGKILL)
        _, said = started.communicate(timeout=90)
    assert started.returncode == 1
    assert "exitcode  : -9" in said or "Signal 9" in said, said[-2000:]
    assert not [pid for pid in ranks if Path(f"/proc/{pid}").exists()], "no process is left behind"
    reached = open_checkpoint(out / "last").provenance["training"]["step"]
    assert reached > 0
    done = subprocess.run(
        [*command("killed", 4000), "--stop-after", str(reached + 3)],
        check=True,
        capture_output=True,
        env=_environment(),
    )
    assert f"going on from step {reached} of 4000" in done.stderr.decode()
    assert open_checkpoint(out / "last").provenance["training"]["step"] == reached + 3


HOLD_TOGETHER = """
import os, sys
from pathlib import Path
from lesionlab.core.errors import FolderInUseError
from lesionlab.engine.ranks import hold_folder, make_training_fabric

fabric = make_training_fabric("float32")
for folder in map(Path, sys.argv[2:]):
    try:
        with hold_folder(fabric, folder):
            fabric.barrier()
            outcome = "held"
    except FolderInUseError as error:
        outcome = str(error)
    Path(sys.argv[1], f"{folder.name}-{os.environ['RANK']}").write_text(outcome)
"""


@pytest.mark.slow
def test_a_folder_in_use_is_refused_to_all_processes_alike(tmp_path: Path):
    """Nobody waits for the others for ever: both go on to a free folder and hold that together."""
    (tmp_path / "hold.py").write_text(HOLD_TOGETHER)
    folders = [str(tmp_path / name) for name in ("taken", "free")]
    with lock_folder(tmp_path / "taken"):
        command = [*TWO, str(tmp_path / "hold.py"), str(tmp_path), *folders]
        subprocess.run(command, check=True, capture_output=True, env=_environment())
    outcomes = {name: [(tmp_path / f"{name}-{rank}").read_text() for rank in (0, 1)] for name in ("taken", "free")}
    assert outcomes["free"] == ["held", "held"]
    assert outcomes["taken"][0] == outcomes["taken"][1]
    assert f"found process {os.getpid()} on " in outcomes["taken"][0]


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}
