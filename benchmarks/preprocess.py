"""Cases per minute and peak memory of preparing scans: ours beside MONAI's dictionary transforms and TorchIO.

Every tool does the same to the same files, on one thread of a process of its own: read two modalities and a mask, turn
them to RAS+, bring them to 1 mm (images linearly, masks to the nearest), crop to the head, clip to percentiles of the
head, z-score, save. The peers' steps are in the order of their tutorials. MONAI has a second row in which it also crops
before it resamples. Needs the dependency group `bench`.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import nibabel
import numpy as np
from peers import RESULTS, machine, memory_mb
from scipy.ndimage import zoom

SHAPE, SPACING_MM, WANTED_MM = (182, 218, 182), (0.9, 0.9, 1.3), (1.0, 1.0, 1.0)
IMAGES, ALL = ("flair", "t1"), ("flair", "t1", "mask")
PERCENTILES = (2.0, 98.0)
AIR = 60.0
"""What the peers take for the end of the air, which they do not measure themselves."""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1"}


def write_case(folder: Path, *, seed: int, shape: tuple[int, int, int] = SHAPE) -> None:
    """Write a made head with noisy air and bright lesions: images as int16, which scanners give, and a mask."""
    generator = np.random.default_rng(seed)
    coarse = generator.standard_normal([size // 6 + 2 for size in shape], dtype=np.float32)
    texture = zoom(coarse, 6.5, order=1)[: shape[0], : shape[1], : shape[2]]
    axes = np.meshgrid(*(np.linspace(-1.25, 1.25, size, dtype=np.float32) for size in shape), indexing="ij")
    distance = np.sqrt(sum(scale * axis**2 for scale, axis in zip((1.3, 1.0, 1.2), axes, strict=True)))
    head, mask = distance + 0.05 * texture < 0.95, (texture > 1.6) & (distance < 0.7)
    folder.mkdir(parents=True)
    affine = np.diag([-SPACING_MM[0], *SPACING_MM[1:], 1.0])
    for name, level in (("flair", 300), ("t1", 500)):
        image = np.where(head, level + 60 * texture + 200 * mask, 0) + np.abs(generator.normal(0, 8, shape))
        nibabel.save(nibabel.Nifti1Image(image.astype(np.int16), affine), folder / f"{name}.nii.gz")
    nibabel.save(nibabel.Nifti1Image(mask.astype(np.uint8), affine), folder / "mask.nii.gz")


def ours(folders: list[Path], out: Path) -> None:
    """Prepare with lesionlab's store, one case at a time as the peers do."""
    from lesionlab.core.case import Case
    from lesionlab.core.labels import LESION
    from lesionlab.core.recipe import Preprocessing
    from lesionlab.engine.store import store_cases

    cases = [
        Case(
            id=folder.name,
            images={name: folder / f"{name}.nii.gz" for name in IMAGES},
            label=folder / "mask.nii.gz",
            group=folder.name,
        )
        for folder in folders
    ]
    settings = Preprocessing(spacing_mm=WANTED_MM, percentiles=PERCENTILES)
    store_cases(cases, out, modalities=IMAGES, settings=settings, labels=LESION, at_once=1)


def with_monai(folders: list[Path], out: Path, *, crops_first: bool = False) -> None:
    """Prepare with MONAI's dictionary transforms."""
    from monai.transforms import (
        ClipIntensityPercentilesd,
        Compose,
        CropForegroundd,
        EnsureChannelFirstd,
        LoadImaged,
        NormalizeIntensityd,
        Orientationd,
        Spacingd,
    )

    crop = CropForegroundd(ALL, source_key="flair", select_fn=lambda image: image > AIR, allow_smaller=True)
    respace = Spacingd(ALL, pixdim=WANTED_MM, mode=("bilinear", "bilinear", "nearest"))
    transforms = Compose(
        [
            LoadImaged(ALL),
            EnsureChannelFirstd(ALL),
            Orientationd(ALL, axcodes="RAS", labels=None),
            *((crop, respace) if crops_first else (respace, crop)),
            ClipIntensityPercentilesd(IMAGES, lower=PERCENTILES[0], upper=PERCENTILES[1]),
            NormalizeIntensityd(IMAGES, nonzero=True),
        ]
    )
    for folder in folders:
        made = transforms({name: folder / f"{name}.nii.gz" for name in ALL})
        _save(out / folder.name, np.concatenate([made[name].numpy() for name in IMAGES]), made["mask"].numpy())


def with_monai_cropping_first(folders: list[Path], out: Path) -> None:
    """Prepare with MONAI's transforms in the order that is the faster one."""
    with_monai(folders, out, crops_first=True)


def with_torchio(folders: list[Path], out: Path) -> None:
    """Prepare with TorchIO."""
    import torch
    import torchio

    def is_head(image: torch.Tensor) -> torch.Tensor:
        return image > AIR

    def crop(subject: torchio.Subject) -> torchio.Subject:
        head = is_head(subject["flair"].data)[0]
        ends = [torch.nonzero(head.any(dim=a).any(dim=b)).flatten() for a, b in ((1, 1), (0, 1), (0, 0))]
        bounds = [(int(end[0]), size - 1 - int(end[-1])) for end, size in zip(ends, head.shape, strict=True)]
        return torchio.Crop(tuple(number for pair in bounds for number in pair))(subject)

    respace = torchio.Compose([torchio.ToCanonical(), torchio.Resample(WANTED_MM, image_interpolation="linear")])
    scale = torchio.RescaleIntensity(percentiles=PERCENTILES, masking_method=is_head)
    normalise = torchio.ZNormalization(masking_method=lambda image: image > image.min())
    for folder in folders:
        images = {name: torchio.ScalarImage(folder / f"{name}.nii.gz") for name in IMAGES}
        subject = torchio.Subject(**images, mask=torchio.LabelMap(folder / "mask.nii.gz"))
        made = normalise(scale(crop(respace(subject))))
        image = np.concatenate([made[name].data.numpy() for name in IMAGES])
        _save(out / folder.name, image, made["mask"].data.numpy())


def _save(folder: Path, image: np.ndarray, mask: np.ndarray) -> None:
    folder.mkdir(parents=True)
    np.save(folder / "image.npy", image.astype(np.float32))
    np.save(folder / "label.npy", mask.astype(np.uint8))


RUNS: dict[str, Callable[[list[Path], Path], None]] = {
    "lesionlab": ours,
    "monai": with_monai,
    "monai, cropping first": with_monai_cropping_first,
    "torchio": with_torchio,
}
PACKAGES = {name: name.partition(",")[0] for name in RUNS}


def measure_alone(tool: str, data: Path) -> None:
    """Print the seconds per case and the megabytes above those of the loaded library, as JSON."""
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        RUNS[tool]([data / "small"], Path(name) / "small")  # loads the library
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from what is held now
        before_mb = memory_mb("VmRSS")
        folders = sorted(data.glob("case*"))
        started, worked = time.perf_counter(), time.process_time()
        RUNS[tool](folders, Path(name) / "out")
        seconds = (time.perf_counter() - started) / len(folders)
        cpu_seconds = (time.process_time() - worked) / len(folders)
        peak_mb = memory_mb("VmHWM") - before_mb
        shape = np.load(next((Path(name) / "out").glob("case0*/image.npy")), mmap_mode="r").shape
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mb": round(peak_mb, 1), "shape": shape}))


def main() -> None:
    """Measure the tools in turns, each in a process of its own, and write results/preprocess.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--alone", nargs=2, metavar=("TOOL", "DATA"), help="one tool in this process")
    arguments = parser.parse_args()
    if arguments.alone:
        measure_alone(arguments.alone[0], Path(arguments.alone[1]))
        return
    tools = [tool for tool in RUNS if importlib.util.find_spec(PACKAGES[tool])]
    found: dict[str, list[dict[str, float]]] = {tool: [] for tool in tools}
    with tempfile.TemporaryDirectory() as data:
        write_case(Path(data) / "small", seed=0, shape=(40, 40, 40))
        for number in range(arguments.cases):
            write_case(Path(data) / f"case{number}", seed=number)
        for _ in range(arguments.rounds):
            for tool in tools:
                command = [sys.executable, __file__, "--alone", tool, data]
                ran = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | ONE_THREAD)
                found[tool].append(json.loads(ran.stdout.splitlines()[-1]))
    _write(found, cases=arguments.cases)


def _write(found: dict[str, list[dict[str, float]]], *, cases: int) -> None:
    own = [one["seconds"] for one in found["lesionlab"]]
    rows = {}
    for tool, ones in found.items():
        seconds = [one["seconds"] for one in ones]
        rows[tool] = {
            "cases_per_minute": round(60 / statistics.median(seconds), 1),
            "cpu_seconds_per_case": round(statistics.median(one["cpu_seconds"] for one in ones), 3),
            "peak_mb": statistics.median(one["peak_mb"] for one in ones),
            "ours_is_faster_by": round(statistics.median(b / a for a, b in zip(own, seconds, strict=True)), 2),
            "shape": ones[0]["shape"],
        }
        print(tool, rows[tool])
    result = {"what": "preprocess", "tools": rows, "cases": cases, "rounds": len(own), "threads": 1, **machine()}
    result["versions"] |= {name: version(name) for name in {PACKAGES[tool] for tool in found} - {"lesionlab"}}
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / "preprocess.json"
    file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(file)


if __name__ == "__main__":
    main()
