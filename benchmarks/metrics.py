"""Dice, HD95, ASSD, surface Dice and lesion F1 of one case: ours beside MONAI, surface-distance, SimpleITK and MedPy.

Each peer also counts lesions with cc3d. Peers that are not installed are left out. Needs the dependency group `bench`.
"""

import argparse
import importlib.util
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import cc3d
import numpy as np
from scipy.ndimage import gaussian_filter

SPACING_MM = (1.0, 1.0, 1.0)
SHAPE = (182, 218, 182)
PACKAGES = {"lesionlab": "lesionlab", "monai": "monai", "surface_distance": "surface-distance"}
PACKAGES |= {"SimpleITK": "SimpleITK", "medpy": "MedPy"}


def masks(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a prediction and a reference: lesions, brain, noise, checkerboard, everything, or from a file."""
    if name.endswith(".npz"):
        stored = np.load(name)
        return stored["pred"] > 0, stored["gt"] > 0
    smooth = gaussian_filter(np.random.default_rng(0).standard_normal(SHAPE), 2)
    lesions = smooth > np.quantile(smooth, 0.998)
    if name == "lesions":
        return np.roll(lesions, 1, axis=0), lesions
    axes = np.meshgrid(*(np.linspace(-1.2, 1.2, size) for size in SHAPE), indexing="ij")
    brain = np.sqrt(sum(axis**2 for axis in axes)) + smooth < 1
    other = np.sqrt(sum(axis**2 for axis in axes)) + np.roll(smooth, 3, axis=1) < 1
    predictions = {
        "brain": (other, brain),
        "noise": (np.random.default_rng(1).random(SHAPE) < 0.3, lesions),
        "checkerboard": (np.indices(SHAPE).sum(axis=0) % 2 == 0, lesions),
        "everything": (np.ones(SHAPE, dtype=bool), lesions),
    }
    return predictions[name]


def count(predicted: np.ndarray, reference: np.ndarray) -> None:
    """Count lesions as a peer's user would, for F1."""
    for mask, other in ((predicted, reference), (reference, predicted)):
        components = cc3d.connected_components(mask.astype(np.uint8), connectivity=26)
        np.unique(components[other])


def ours(predicted: np.ndarray, reference: np.ndarray) -> None:
    """Score with lesionlab."""
    from lesionlab.core.metric import MaskPair
    from lesionlab.metrics.hausdorff import Hausdorff95Max
    from lesionlab.metrics.lesion import LesionF1
    from lesionlab.metrics.mean_distance import PooledMeanDistance
    from lesionlab.metrics.overlap import Dice
    from lesionlab.metrics.surface_dice import SurfaceDice

    pair = MaskPair(predicted=predicted, reference=reference, spacing_mm=SPACING_MM)
    for measure in (Dice(), Hausdorff95Max(), PooledMeanDistance(), SurfaceDice(), LesionF1()):
        measure(pair)


def with_monai(predicted: np.ndarray, reference: np.ndarray) -> None:
    """Score with MONAI."""
    import torch
    from monai.metrics import (
        compute_average_surface_distance,
        compute_dice,
        compute_hausdorff_distance,
        compute_surface_dice,
    )

    pair = [torch.from_numpy(mask)[None, None] for mask in (predicted, reference)]
    compute_dice(*pair)
    compute_hausdorff_distance(*pair, percentile=95, spacing=SPACING_MM, include_background=True)
    compute_average_surface_distance(*pair, symmetric=True, spacing=SPACING_MM, include_background=True)
    compute_surface_dice(*pair, class_thresholds=[1.0], spacing=SPACING_MM, include_background=True)
    count(predicted, reference)


def with_surface_distance(predicted: np.ndarray, reference: np.ndarray) -> None:
    """Score with DeepMind's surface-distance, which shares one measurement among its metrics."""
    import surface_distance

    found = surface_distance.compute_surface_distances(reference, predicted, SPACING_MM)
    surface_distance.compute_robust_hausdorff(found, 95)
    surface_distance.compute_average_surface_distance(found)
    surface_distance.compute_surface_dice_at_tolerance(found, 1.0)
    surface_distance.compute_dice_coefficient(reference, predicted)
    count(predicted, reference)


def with_simpleitk(predicted: np.ndarray, reference: np.ndarray) -> None:
    """Score with SimpleITK's distance maps and contours."""
    import SimpleITK

    images = [SimpleITK.GetImageFromArray(mask.astype(np.uint8)) for mask in (predicted, reference)]
    overlap = SimpleITK.LabelOverlapMeasuresImageFilter()
    overlap.Execute(*images)
    distances = []
    for start, goal in (images, images[::-1]):
        far = SimpleITK.Abs(SimpleITK.SignedMaurerDistanceMap(goal, squaredDistance=False, useImageSpacing=True))
        surface = SimpleITK.GetArrayViewFromImage(SimpleITK.LabelContour(start)) > 0
        distances.append(SimpleITK.GetArrayViewFromImage(far)[surface])
    for found in distances:
        np.percentile(found, 95), found.mean(), np.count_nonzero(found <= 1)
    count(predicted, reference)


def with_medpy(predicted: np.ndarray, reference: np.ndarray) -> None:
    """Score with MedPy."""
    from medpy.metric import binary

    binary.dc(predicted, reference)
    binary.hd95(predicted, reference, voxelspacing=SPACING_MM)
    binary.assd(predicted, reference, voxelspacing=SPACING_MM)
    count(predicted, reference)


RUNS: dict[str, Callable[[np.ndarray, np.ndarray], None]] = {
    "lesionlab": ours,
    "monai": with_monai,
    "surface_distance": with_surface_distance,
    "SimpleITK": with_simpleitk,
    "medpy": with_medpy,
}


def measure_alone(tool: str, kind: str, rounds: int) -> None:
    """Print the median seconds and the megabytes above those of the masks and the loaded library, as JSON."""
    predicted, reference = masks(kind)
    tiny = np.zeros((8, 8, 8), dtype=bool)
    tiny[2:5, 2:5, 2:5] = True
    RUNS[tool](tiny, tiny)  # loads the library
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        RUNS[tool](predicted, reference)
        seconds.append(time.perf_counter() - started)
    peak_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(json.dumps({"seconds": float(np.median(seconds)), "peak_mb": round(peak_mb, 1)}))


def main() -> None:
    """Measure each tool in a process of its own, in turns, and write results/metrics.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kinds", nargs="*", default=["lesions", "brain", "noise", "checkerboard", "everything"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--alone", help="one tool in this process")
    arguments = parser.parse_args()
    if arguments.alone:
        measure_alone(arguments.alone, arguments.kinds[0], arguments.rounds)
        return
    tools = [tool for tool in RUNS if importlib.util.find_spec(tool)]
    results = {}
    for kind in arguments.kinds:
        stored = Path(tempfile.mkdtemp()) / "masks.npz"  # making them takes more memory than scoring them
        predicted, reference = masks(kind)
        np.savez(stored, pred=predicted, gt=reference)
        for tool in tools:
            command = [sys.executable, __file__, str(stored), "--alone", tool, "--rounds", str(arguments.rounds)]
            ran = subprocess.run(command, check=True, capture_output=True, text=True)
            results.setdefault(kind, {})[tool] = json.loads(ran.stdout.splitlines()[-1])
        fastest = min(result["seconds"] for tool, result in results[kind].items() if tool != "lesionlab")
        smallest = min(result["peak_mb"] for tool, result in results[kind].items() if tool != "lesionlab")
        own = results[kind]["lesionlab"]
        print(kind, results[kind], f"{fastest / own['seconds']:.1f} x", f"{own['peak_mb'] / smallest:.2f} memory")
    machine = {"processor": platform.processor(), "cores": os.cpu_count(), "system": platform.system()}
    versions = {tool: version(PACKAGES[tool]) for tool in tools}
    file = Path(__file__).parent / "results" / "metrics.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"results": results, "machine": machine, "versions": versions}, indent=1) + "\n")
    print(file)


if __name__ == "__main__":
    main()
