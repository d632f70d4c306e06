"""A long training neither grows nor slows down."""

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

STEPS = int(os.environ.get("LESIONLAB_STEADY_STEPS", "1000"))
"""5,000 are the claim; so many take too long for every run of the slow tests."""

logger = logging.getLogger(__name__)

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
CHANGES = (
    f"training.steps={STEPS}",
    "training.batch=8",
    "sampling.factor=1",
    "sampling.bonus=0",
    "validation.every=25",
    "validation.patience=1000",
)
"""Fifteen slices in batches of eight: a validation after every fiftieth step."""


@pytest.mark.slow
@pytest.mark.timeout(max(1200, STEPS))
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident memory is read as Linux gives it")
def test_memory_and_pace_stay_level(cohort: Path, tiny_recipe: str, tmp_path: Path):
    words = [word for change in CHANGES for word in ("--change", change)]
    code = "from lesionlab.cli.main import main; main()"
    command = [sys.executable, "-c", code, "train", tiny_recipe, f"wmh2017:{cohort}", str(tmp_path), "--workers", "2"]
    metrics = tmp_path / "metrics.jsonl"
    resident: list[int] = []
    used_s: list[float] = []
    with subprocess.Popen([*command, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as started:
        while started.poll() is None:
            lines = metrics.read_text().count("\n") if metrics.exists() else 0
            found = tree_of(started.pid)
            if 0 < lines < STEPS // 50 and found is not None:
                resident.append(found[0])
                used_s += [found[1]] * (lines - len(used_s))
            time.sleep(0.1)
    assert started.returncode == 0
    memory, seconds = fifths(np.array(resident)), fifths(np.diff(used_s) / 50)
    logger.info("%d steps: resident memory %.1f MiB at first, %+.1f %% in the end", STEPS, *_change(memory, 2**-20))
    logger.info("a step took %.2f ms of processors at first, %+.1f %% in the end", *_change(seconds, 1000))
    assert abs(memory[1] / memory[0] - 1) < 0.05
    assert seconds[1] / seconds[0] - 1 < 0.10


def _change(ends: tuple[float, float], unit: float) -> tuple[float, float]:
    return ends[0] * unit, 100 * (ends[1] / ends[0] - 1)


def tree_of(pid: int) -> tuple[int, float] | None:
    """Return resident bytes and processor seconds of a process and its workers; None unless both workers are there.

    Processor time, validations included, so that a busy machine does not count.
    """
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        pages = [int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in (pid, *children)]
        ticks = [Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()[11:13] for one in (pid, *children)]
    except (OSError, IndexError):
        return None
    if len(children) < 2:
        return None
    return sum(pages) * PAGE_BYTES, sum(int(user) + int(system) for user, system in ticks) / os.sysconf("SC_CLK_TCK")


def fifths(values: np.ndarray) -> tuple[float, float]:
    """Return the means of the first and of the last fifth."""
    share = max(1, len(values) // 5)
    return float(values[:share].mean()), float(values[-share:].mean())
