"""The main road on real scans of MS patients, through the command line: train, tune, predict, evaluate."""

import csv
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from lesionlab.cli.main import main

pytestmark = [pytest.mark.slow, pytest.mark.timeout(4000)]

LEARNT = ("ms_simvent_104252", "ms_simvent_105074", "ms_simvent_105465")
VALIDATION = "ms_openms_p26"

RECIPE = """
# Narrow, without augmentation: the scans that it learns are those that it is asked about.
name = "real_scans"
modalities = ["flair", "t1"]
[network]
name = "synapse_net"
options = { widths = [12, 16, 24, 32, 48], token_channels = 48, heads = 4, dropout = 0.0, drop_path = 0.0 }
[loss]
name = "dice_cross_entropy"
[sampling]
size = [160, 160]
[augmentation]
name = "flips_and_intensity"
options = { flip = 0.0, intensity = 0.0 }
[training]
steps = 950
batch = 4
learning_rate = 3e-3
final_learning_rate = 1e-5
warm_up = 0.05
[validation]
every = 40
"""

LEAST_DICE = 0.80
"""Mean over the three scans that were learned; seen: 0.830 (0.798, 0.845, 0.846)."""


def lesionlab(*words: object) -> None:
    """Run one verb and expect success."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    assert ended.value.code == 0, words


@pytest.fixture(scope="module")
def dataset(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scans in the layout wmh_split: three to learn, one for validation."""
    folder = tmp_path_factory.mktemp("wmh_split")
    for subject in (*LEARNT, VALIDATION):
        part = folder / "train" / ("validation" if subject == VALIDATION else "training")
        for kind, name, ending in (("flair", "flair", "flair"), ("t1", "t1", "t1"), ("ground_truth", "mask", "wmh")):
            (part / kind).mkdir(parents=True, exist_ok=True)
            shutil.copy(real_data / "brain" / subject / f"{name}.nii.gz", part / kind / f"{subject}_{ending}.nii.gz")
    return folder


@pytest.fixture(scope="module")
def trained(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training")
    (folder / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    lesionlab("train", folder / "recipe.toml", f"wmh_split:{dataset}", folder / "run")
    return folder / "run"


def test_it_learns_the_scans_it_was_trained_on(trained: Path, dataset: Path, tmp_path: Path):
    data = f"wmh_split:{dataset}"
    lesionlab("predict", trained / "last", data, tmp_path / "masks", "--split", "training")
    lesionlab("evaluate", tmp_path / "masks", data, tmp_path / "report", "--split", "training", "--protocol", "wmh2017")
    with (tmp_path / "report" / "cases.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["case"] for row in rows} == set(LEARNT)
    dice = [float(row["wmh2017.dsc"]) for row in rows]
    assert np.mean(dice) >= LEAST_DICE, dice
    assert (tmp_path / "report" / "report.html").stat().st_size > 50_000


def test_every_mask_lies_on_its_scan(trained: Path, dataset: Path, tmp_path: Path):
    data = f"wmh_split:{dataset}"
    lesionlab("tune", trained, data)
    lesionlab("predict", trained, data, tmp_path, "--save-probabilities")
    for subject in (*LEARNT, VALIDATION):
        part = "validation" if subject == VALIDATION else "training"
        scan = nibabel.load(dataset / "train" / part / "flair" / f"{subject}_flair.nii.gz")
        for name in ("mask", "probability_lesion"):
            written = nibabel.load(tmp_path / f"{subject}_{name}.nii.gz")
            assert written.shape == scan.shape
            assert np.abs(written.affine - scan.affine).max() <= 1e-4
