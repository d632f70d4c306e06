"""The whole road on patients who never lived: make, train, tune, predict, evaluate."""

from pathlib import Path

from lesionlab.core.errors import OptionError
from lesionlab.core.folder_lock import lock_folder
from lesionlab.workflows.evaluate import evaluate
from lesionlab.workflows.predict import predict
from lesionlab.workflows.synthetic_patients import PARTS, make_cohort
from lesionlab.workflows.train import train
from lesionlab.workflows.tune import tune

FEWEST_PATIENTS = len(PARTS)

NOTICE = (
    "Synthetic patients. These brains were drawn by a program; the scores show that lesionlab works, "
    "not how well a network outlines lesions of real patients."
)


def run_demo(out: Path, *, patients: int = 16, seed: int = 0) -> tuple[Path, ...]:
    """Train a narrow network on synthetic patients and score it on held-out ones.

    Args:
        out: Folder for everything; an earlier call's training and masks are gone on with, or kept when finished.
        patients: How many synthetic patients, at least 6: half of them train, a sixth validates, a third is held out.
        seed: Of patients and training.

    Returns:
        The files to look at, the page last.

    Raises:
        OptionError: nilearn, whose wheel carries the template, is not installed; or there are too few patients.
        StorageError: The disk is full.
        FolderInUseError: Another command is writing into `out`.
    """
    if patients < FEWEST_PATIENTS:
        raise OptionError(
            f"at least {FEWEST_PATIENTS} patients, so that every part has one",
            found=str(patients),
            where="--patients",
            next_step=f"--patients {FEWEST_PATIENTS}",
        )
    with lock_folder(out):
        cohort = out / "patients"
        make_cohort(cohort, patients=patients, seed=seed)
        data = f"wmh2017:{cohort}"
        train("demo", data, out / "training", changes=[f"training.seed={seed}"])
        tuned = tune(out / "training", data)
        predicted = predict(out / "training", data, out / "masks", split="test")
        evaluation = evaluate(
            out / "masks",
            data,
            out / "report",
            protocols=("wmh2017", "synapse_net_paper"),
            split="test",
            title="lesionlab demo",
            notice=NOTICE,
        )
        return (*tuned.files, *predicted.files, *evaluation.files[1:], evaluation.page)
