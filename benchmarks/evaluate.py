"""Evaluate 300 cases with one and with two workers: seconds of each, and how many times faster two are."""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from peers import RESULTS, machine
from scipy.ndimage import gaussian_filter

from lesionlab.core.case import Case
from lesionlab.core.grid import Grid
from lesionlab.core.labels import LESION
from lesionlab.engine.images import write_image
from lesionlab.workflows.evaluate import evaluate_cases

GRID = Grid.of((182, 218, 182), np.eye(4))
DIFFERENT = 20
"""So many different patients are drawn; the others are copies of them under other names."""


def write_cases(folder: Path, count: int) -> list[Case]:
    """Write masks with about a hundred lesions, and predictions that lie one voxel beside them."""
    for number in range(min(count, DIFFERENT)):
        smooth = gaussian_filter(np.random.default_rng(number).standard_normal(GRID.shape), 4)
        reference = (smooth > np.quantile(smooth, 0.997)).astype(np.uint8)
        write_image(folder / f"reference_{number}.nii.gz", reference, grid=GRID)
        write_image(folder / f"predicted_{number}.nii.gz", np.roll(reference, 1, axis=0), grid=GRID)
    return [_case(folder, number) for number in range(count)]


def _case(folder: Path, number: int) -> Case:
    name = f"case_{number:03d}"
    for side, place in (
        ("predicted", folder / "predictions" / f"{name}.nii.gz"),
        ("reference", folder / f"{name}.nii.gz"),
    ):
        place.parent.mkdir(exist_ok=True)
        place.hardlink_to(folder / f"{side}_{number % DIFFERENT}.nii.gz")
    label = folder / f"{name}.nii.gz"
    return Case(id=name, images={"flair": label}, label=label, group=name, site="")


def main() -> None:
    """Measure in turns, and write results/evaluate.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    seconds: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases = write_cases(folder, arguments.cases)
        for number in range(arguments.rounds):
            for workers, found in seconds.items():
                started = time.perf_counter()
                out = folder / f"out_{number}_{workers}"
                evaluate_cases(folder / "predictions", cases, LESION, protocols=["lesionlab"], out=out, workers=workers)
                found.append(time.perf_counter() - started)
    medians = {workers: float(np.median(found)) for workers, found in seconds.items()}
    result = {"cases": arguments.cases, "seconds": medians, "times_faster": medians[1] / medians[2], **machine()}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "evaluate.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(result)


if __name__ == "__main__":
    main()
