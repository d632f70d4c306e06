"""Ask lesionlab, installed without extras, for what each extra gives; it must name the extra and exit with 1."""

import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel
import numpy as np

STUDY = """\
recipe = "demo"
trials = 2

[ranges]
"training.learning_rate" = { low = 1e-4, high = 1e-2, log = true }
"""

COMMANDS = {
    "demo": ["demo", "demo"],
    "dicom": ["check", "dicom:series"],
    "cluster": ["train", "demo", "wmh2017:patients", "run", "--cluster", "local:2"],
    "mlflow": ["train", "demo", "wmh2017:patients", "run", "--mlflow", "mlflow.db"],
    "search": ["tune", "search", "wmh2017:patients", "--hyperparameters", "study.toml"],
}


def write_inputs(folder: Path) -> None:
    """Write a study, a file that begins as DICOM does, and four patients whose scans are noise with a bright lesion."""
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    series = folder / "series" / "case" / "1"
    series.mkdir(parents=True)
    (series / "1.dcm").write_bytes(bytes(128) + b"DICM")
    generator = np.random.default_rng(0)
    for number in range(4):
        case = folder / "patients" / ("training", "validation")[number % 2] / "Utrecht" / str(number)
        (case / "pre").mkdir(parents=True)
        lesion = np.zeros((48, 48, 12), np.uint8)
        lesion[20:28, 20:28, 4:8] = 1
        for name in ("FLAIR", "T1"):
            scan = generator.normal(100, 10, lesion.shape).astype(np.float32)
            scan[[0, -1]] = 0
            save(scan + 50 * lesion, case / "pre" / f"{name}.nii.gz")
        save(lesion, case / "wmh.nii.gz")


def save(array: np.ndarray, path: Path) -> None:
    """Write an array as NIfTI with voxels of 3 mm."""
    nibabel.save(nibabel.Nifti1Image(array, np.diag([3.0, 3.0, 3.0, 1.0])), path)


def main() -> None:
    """Run every command, and exit with what went wrong."""
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        write_inputs(Path(folder))
        for extra, words in COMMANDS.items():
            ended = subprocess.run(
                ["lesionlab", *words], cwd=folder, capture_output=True, text=True, encoding="utf-8", check=False
            )
            if ended.returncode != 1 or f"lesionlab[{extra}]" not in ended.stderr or "Traceback" in ended.stderr:
                wrong.append(f"lesionlab {' '.join(words)}: exit {ended.returncode}\n{ended.stderr}")
    sys.exit("\n".join(wrong) or 0)


if __name__ == "__main__":
    main()
