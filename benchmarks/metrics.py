"""Dice, HD95, ASSD, surface Dice and lesion F1 of one case: ours beside MONAI, surface-distance, SimpleITK and MedPy.

Each peer also counts lesions with cc3d. Peers that are not installed are left out. Needs the dependency group `bench`.
Real masks are those of LESIONLAB_REAL_DATA (see CONTRIBUTING.md); without that folder they are left out too.
"""

import argparse
import importlib.util
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import cc3d
import nibabel
import numpy as np
from peers import memory_mb
from scipy.ndimage import binary_dilation, gaussian_filter

Spacing = tuple[float, float, float]
SHAPE = (182, 218, 182)
PATHOLOGICAL = ("noise", "checkerboard", "everything")
"""Predictions that take the peers minutes; they are scored once."""
LEAST_SECONDS = 0.5
"""Quick tools go on for so long, for a single call says little."""
TURNS = 3
"""So often each tool has its turn, for a machine that is busy for a while is to slow all of them."""
MADE = ("lesions", "brain", *PATHOLOGICAL)
REAL_DATA = Path(os.environ.get("LESIONLAB_REAL_DATA", Path(__file__).parents[2] / "shared" / "data"))
PACKAGES = {"lesionlab": "lesionlab", "monai": "monai", "surface_distance": "surface-distance"}
PACKAGES |= {"SimpleITK": "SimpleITK", "medpy": "MedPy"}


def real_masks() -> dict[str, Path]:
    """Return the masks of real patients with multiple sclerosis by name; none without the data."""
    return {path.parent.name: path for path in sorted(REAL_DATA.glob("brain/ms_*/mask.nii.gz"))}


def masks(name: str) -> tuple[np.ndarray, np.ndarray, Spacing]:
    """Return a prediction, a reference and their spacing in mm: made ones, or a patient's and their like."""
    if name in real_masks():
        return perturbed(real_masks()[name])
    return *made_masks(name), (1.0, 1.0, 1.0)


def perturbed(path: Path) -> tuple[np.ndarray, np.ndarray, Spacing]:
    """Return a patient's lesions with every fifth missed and the others one voxel too thick, beside the true ones."""
    image = nibabel.load(path)
    reference = np.asarray(image.dataobj) > 0
    numbers = cc3d.connected_components(reference.astype(np.uint8), connectivity=26)
    predicted = binary_dilation((numbers > 0) & (numbers % 5 > 0))
    x, y, z = (float(mm) for mm in image.header.get_zooms()[:3])
    return np.asfortranarray(predicted), reference, (x, y, z)


def made_masks(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a prediction and a reference: lesions, brain, noise, checkerboard, everything."""
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


def ours(predicted: np.ndarray, reference: np.ndarray, spacing_mm: Spacing) -> None:
    """Score with lesionlab."""
    from lesionlab.core.metric import MaskPair
    from lesionlab.metrics.hausdorff import Hausdorff95Max
    from lesionlab.metrics.lesion import LesionF1
    from lesionlab.metrics.mean_distance import PooledMeanDistance
    from lesionlab.metrics.overlap import Dice
    from lesionlab.metrics.surface_dice import SurfaceDice

    pair = MaskPair(predicted=predicted, reference=reference, spacing_mm=spacing_mm)
    for measure in (Dice(), Hausdorff95Max(), PooledMeanDistance(), SurfaceDice(), LesionF1()):
        measure(pair)


def with_monai(predicted: np.ndarray, reference: np.ndarray, spacing_mm: Spacing) -> None:
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
    compute_hausdorff_distance(*pair, percentile=95, spacing=spacing_mm, include_background=True)
    compute_average_surface_distance(*pair, symmetric=True, spacing=spacing_mm, include_background=True)
    compute_surface_dice(*pair, class_thresholds=[1.0], spacing=spacing_mm, include_background=True)
    count(predicted, reference)


def with_surface_distance(predicted: np.ndarray, reference: np.ndarray, spacing_mm: Spacing) -> None:
    """Score with DeepMind's surface-distance, which shares one measurement among its metrics."""
    import surface_distance

    found = surface_distance.compute_surface_distances(reference, predicted, spacing_mm)
    surface_distance.compute_robust_hausdorff(found, 95)
    surface_distance.compute_average_surface_distance(found)
    surface_distance.compute_surface_dice_at_tolerance(found, 1.0)
    surface_distance.compute_dice_coefficient(reference, predicted)
    count(predicted, reference)


def with_simpleitk(predicted: np.ndarray, reference: np.ndarray, spacing_mm: Spacing) -> None:
    """Score with SimpleITK's distance maps and contours."""
    import SimpleITK

    images = [SimpleITK.GetImageFromArray(mask.astype(np.uint8)) for mask in (predicted, reference)]
    for image in images:
        image.SetSpacing(spacing_mm[::-1])
    overlap = SimpleITK.LabelOverlapMeasuresImageFilter()
    overlap.Execute(*images)
    distances = []
    for start, goal in (images, images[::-1]):
        far = SimpleITK.Abs(SimpleITK.SignedMaurerDistanceMap(goal, squaredDistance=False, useImageSpacing=True))
        contour = SimpleITK.LabelContour(start)  # the views below do not keep their images alive
        surface = SimpleITK.GetArrayViewFromImage(contour) > 0
        distances.append(SimpleITK.GetArrayViewFromImage(far)[surface])
    for found in distances:
        np.percentile(found, 95), found.mean(), np.count_nonzero(found <= 1)
    count(predicted, reference)


def with_medpy(predicted: np.ndarray, reference: np.ndarray, spacing_mm: Spacing) -> None:
    """Score with MedPy."""
    from medpy.metric import binary

    binary.dc(predicted, reference)
    binary.hd95(predicted, reference, voxelspacing=spacing_mm)
    binary.assd(predicted, reference, voxelspacing=spacing_mm)
    count(predicted, reference)


RUNS: dict[str, Callable[[np.ndarray, np.ndarray, Spacing], None]] = {
    "lesionlab": ours,
    "monai": with_monai,
    "surface_distance": with_surface_distance,
    "SimpleITK": with_simpleitk,
    "medpy": with_medpy,
}


MEASURED = ("seconds", "processor_seconds", "peak_mb")


def measure_alone(tool: str, stored: str, rounds: int) -> None:
    """Print median seconds (clock and processor) and megabytes above the masks and the loaded library, as JSON."""
    arrays = np.load(stored)
    predicted, reference = arrays["predicted"], arrays["reference"]
    x, y, z = arrays["spacing_mm"].tolist()
    tiny = np.zeros((8, 8, 8), dtype=bool)
    tiny[2:5, 2:5, 2:5] = True
    RUNS[tool](tiny, tiny, (x, y, z))  # loads the library
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from what is held now
    before_mb = memory_mb("VmRSS")
    seconds, processor_seconds = [], []
    while len(seconds) < rounds or (rounds > 1 and sum(seconds) < LEAST_SECONDS):
        started, processor_started = time.perf_counter(), time.process_time()
        RUNS[tool](predicted, reference, (x, y, z))
        seconds.append(time.perf_counter() - started)
        processor_seconds.append(time.process_time() - processor_started)
    peak_mb = memory_mb("VmHWM") - before_mb
    medians = {"seconds": float(np.median(seconds)), "processor_seconds": float(np.median(processor_seconds))}
    print(json.dumps(medians | {"peak_mb": round(peak_mb, 1)}))


def run_alone(tool: str, stored: Path, *, rounds: int, does_return_memory: bool) -> dict[str, float]:
    """Measure one tool in a process of its own.

    Args:
        tool: Which.
        stored: The masks.
        rounds: How often they are scored.
        does_return_memory: Whether what is freed goes back to the system at once, so that the peak is that of the
            scoring and not hidden by what the process had freed before; it makes every tool slower.

    Returns:
        Each of `MEASURED`; NaN where a peer fails on these masks.
    """
    fixed = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    one_thread = {"OMP_NUM_THREADS": "1", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1"}
    environment = os.environ | one_thread | (fixed if does_return_memory else {})
    command = [sys.executable, __file__, str(stored), "--alone", tool, "--rounds", str(rounds)]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment)
    if ran.returncode and tool != "lesionlab":
        return dict.fromkeys(MEASURED, math.nan)
    ran.check_returncode()
    found: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return found


def measure(kind: str, tools: list[str], rounds: int) -> dict[str, dict[str, float]]:
    """Return seconds and megabytes of each tool for one kind of masks."""
    with tempfile.TemporaryDirectory() as folder:
        stored = Path(folder) / "masks.npz"  # making them takes more memory than scoring them
        predicted, reference, spacing_mm = masks(kind)
        np.savez(stored, predicted=predicted, reference=reference, spacing_mm=spacing_mm)
        turns = 1 if kind in PATHOLOGICAL else TURNS
        timed = [
            {tool: run_alone(tool, stored, rounds=rounds, does_return_memory=False) for tool in tools}
            for _ in range(turns)
        ]
        return {
            tool: {of: float(np.median([turn[tool][of] for turn in timed])) for of in MEASURED}
            | {"peak_mb": run_alone(tool, stored, rounds=1, does_return_memory=True)["peak_mb"]}
            for tool in tools
        }


def main() -> None:
    """Measure each tool in a process of its own, in turns, and write results/metrics.json.

    What the file has of other kinds of masks stays.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("kinds", nargs="*", default=[*MADE, *real_masks()])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--alone", help="one tool in this process")
    arguments = parser.parse_args()
    if arguments.alone:
        measure_alone(arguments.alone, arguments.kinds[0], arguments.rounds)
        return
    if not real_masks():
        print(f"no real masks: {REAL_DATA} is not there")
    tools = [tool for tool in RUNS if importlib.util.find_spec(tool)]
    file = Path(__file__).parent / "results" / "metrics.json"
    results = json.loads(file.read_text())["results"] if file.exists() else {}
    for kind in arguments.kinds:
        results[kind] = measure(kind, tools, 1 if kind in PATHOLOGICAL else arguments.rounds)
        peers = [result for tool, result in results[kind].items() if tool != "lesionlab"]
        own = results[kind]["lesionlab"]
        faster, with_less, smaller = (float(np.nanmin([peer[of] for peer in peers])) / own[of] for of in MEASURED)
        print(
            kind,
            results[kind],
            f"{faster:.1f} x",
            f"{with_less:.1f} x by processor,",
            f"{1 / smaller:.2f} memory",
            flush=True,
        )
    machine = {"processor": platform.processor(), "cores": os.cpu_count(), "system": platform.system()}
    versions = {tool: version(PACKAGES[tool]) for tool in tools}
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"results": results, "machine": machine, "versions": versions}, indent=1) + "\n")
    print(file)


if __name__ == "__main__":
    main()
