"""Several processes train as one would."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from lightning_fabric import Fabric
from safetensors.torch import load_file
from tiny_training import write_recipe

from lesionlab.core.errors import OptionError
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
name = "cross_entropy"
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


@pytest.mark.slow
def test_two_processes_find_the_gradients_of_one(tmp_path: Path, cohort: Path):
    """Instance norm and no dropout: what each process computes then does not depend on who computes it."""
    recipe = write_recipe(tmp_path / "tiny3d.toml", INSTANCE_NORM)
    (tmp_path / "train.py").write_text(COMMAND)
    many = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for out, start in (("one", [sys.executable]), ("two", many)):
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


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}
