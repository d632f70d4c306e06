"""A long training neither grows nor slows down."""

import json
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

COUNTED = """
import itertools, json, sys, time
from pathlib import Path
from lesionlab.workflows.train import train
recipe, data, out, counts, *changes = sys.argv[1:]
calls, file = itertools.count(), open(counts, "a", buffering=1)
def note(step, score):
    file.write(json.dumps([step, next(calls), time.process_time()]) + chr(10))
    return False
sys.setprofile(lambda *_: next(calls))
train(recipe, data, Path(out), changes=changes, workers=2, watch=note)
"""
"""A training that writes down, at every validation, its step, calls of functions so far and processor seconds."""


@pytest.mark.slow
@pytest.mark.timeout(max(1200, STEPS))
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident memory is read as Linux gives it")
def test_memory_and_work_stay_level(cohort: Path, tiny_recipe: str, tmp_path: Path):
    """Work is counted in calls of functions: a machine that is busier in the end changes seconds, but no calls."""
    counts, resident = tmp_path / "counts.jsonl", []
    words = [tiny_recipe, f"wmh2017:{cohort}", str(tmp_path / "training"), str(counts), *CHANGES]
    with subprocess.Popen([sys.executable, "-c", COUNTED, *words], stdout=subprocess.DEVNULL) as started:
        while started.poll() is None:
            found = resident_bytes(started.pid)
            if found is not None and counts.exists() and counts.stat().st_size:
                resident.append(found)
            time.sleep(0.1)
    assert started.returncode == 0
    steps, calls, seconds = np.array([json.loads(line) for line in counts.read_text().splitlines()]).T
    assert len(steps) == STEPS // 50
    work, took, memory = np.diff(calls) / np.diff(steps), np.diff(seconds) / np.diff(steps), np.array(resident)
    early, late = work[: len(work) // 2].min(), np.median(work[-len(work) // 5 :])  # better weights are saved early
    logger.info("%d steps: resident memory %.1f MiB at first, %+.1f %% in the end", STEPS, *change(memory, 2**-20))
    logger.info("a step took %.1f ms of the processor at first, %+.1f %% in the end", *change(took, 1000))
    logger.info("and made %.0f calls of functions at first, %.0f in the end", early, late)
    assert abs(change(memory, 1)[1]) < 5
    assert late / early < 1.01


def change(values: np.ndarray, unit: float) -> tuple[float, float]:
    """Return the mean of the first fifth in that unit, and by how many percent that of the last fifth differs."""
    share = max(1, len(values) // 5)
    first, last = values[:share].mean(), values[-share:].mean()
    return float(first * unit), float(100 * (last / first - 1))


def resident_bytes(pid: int) -> int | None:
    """Return resident bytes of a process and its workers; None unless both workers are there."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        pages = [int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in (pid, *children)]
    except (OSError, IndexError):
        return None
    return sum(pages) * PAGE_BYTES if len(children) >= 2 else None
