"""Every network trains a step on real scans, and outlines one, through the command line."""

import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
import test_all_networks as conformance

from lesionlab.cli.main import main
from lesionlab.core.network import network

pytestmark = pytest.mark.slow

SIZES = {2: [96, 96], 3: [64, 64, 32]}
RECIPE = """
name = "one step"
modalities = ["flair", "t1"]
[network]
name = "{name}"
options = {{ {options} }}
[loss]
name = "focal_tversky"
[sampling]
size = {size}
[augmentation]
name = "flips_and_intensity"
[training]
steps = 1
batch = 2
learning_rate = 1e-3
[inference]
overlap = 0.0
"""


def toml(value: object) -> str:
    return str(value).replace("(", "[").replace(")", "]").replace("'", '"').replace("True", "true")


@pytest.fixture(scope="module")
def dataset(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One patient to learn, one to validate and outline."""
    folder = tmp_path_factory.mktemp("scans")
    for part, subject in (("training", "ms_simvent_105074"), ("validation", "ms_simvent_105465")):
        for kind, name, ending in (("flair", "flair", "flair"), ("t1", "t1", "t1"), ("masks", "mask", "wmh")):
            (folder / "train" / part / kind).mkdir(parents=True)
            target = folder / "train" / part / kind / f"{subject}_{ending}.nii.gz"
            shutil.copy(real_data / "brain" / subject / f"{name}.nii.gz", target)
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


def lesionlab(*words: object) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    assert ended.value.code == 0, words


@pytest.mark.parametrize("name", [name for name in network if not name.endswith("classifier")])
def test_it_trains_and_outlines_a_real_scan(name: str, dataset: Path, store: Path, tmp_path: Path):
    axes = conformance.built(name).spatial_dims
    options = ", ".join(f"{key} = {toml(value)}" for key, value in conformance.TINY.get(name, {}).items())
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE.format(name=name, options=options, size=SIZES[axes]), encoding="utf-8")
    lesionlab("train", recipe, f"wmh_split:{dataset}", tmp_path / "run", "--store", store)
    lesionlab("predict", tmp_path / "run", f"wmh_split:{dataset}", tmp_path / "masks", "--split", "validation")
    scan = nibabel.load(dataset / "train" / "validation" / "flair" / "ms_simvent_105465_flair.nii.gz")
    mask = nibabel.load(tmp_path / "masks" / "ms_simvent_105465_mask.nii.gz")
    assert mask.shape == scan.shape
    assert np.abs(mask.affine - scan.affine).max() <= 1e-4
    assert set(np.unique(mask.dataobj)) <= {0, 1}
