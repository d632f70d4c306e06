"""A cohort of phantoms, a recipe small enough for seconds, and one training that many tests look at."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from lesionlab.workflows.train import Trained, train

SHAPE = (30, 36, 5)
AFFINE = np.array([[1.0, 0, 0, -14], [0, 1.1, 0, -17], [0, 0, 3.0, -6], [0, 0, 0, 1]])
RECIPE = """
name = "tiny"
modalities = ["flair", "t1"]
[network]
name = "synapse_net"
options = { widths = [4, 4, 8, 8, 8], token_channels = 8, heads = 2, token_grid = 2 }
[loss]
name = "synapse_net_binary"
[sampling]
size = [32, 32]
[augmentation]
name = "synapse_net"
options = { elastic_sigma = 2.0, elastic_voxels = 5.0, hole_voxels = [2, 4] }
[training]
steps = 6
batch = 4
learning_rate = 3e-3
precision = "float32"
seed = 3
[inference]
batch = 8
"""


def save(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    """Write an image with nibabel alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, affine), path)
    return path


def phantom(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return FLAIR, T1 and mask of a head without symmetry: an ellipsoid, a bright corner, and a few lesions."""
    generator = np.random.default_rng(seed)
    x, y, z = np.indices(SHAPE)
    head = ((x - 14) / 12) ** 2 + ((y - 18) / 15) ** 2 + ((z - 2) / 4) ** 2 < 1
    flair, t1 = (np.where(head, level, 0) + generator.normal(0, 1.5, SHAPE) for level in (300, 200))
    flair[(x > 18) & (y < 12) & head] += 120
    mask = np.zeros(SHAPE, np.uint8)
    for _ in range(3):
        i, j, k = generator.integers((8, 8, 1), (20, 26, 4))
        mask[i : i + 3, j : j + 4, k] = 1
    flair[mask > 0] += 400
    t1[mask > 0] -= 80
    return flair.astype(np.float32), t1.astype(np.float32), mask


def write_case(folder: Path, *, seed: int) -> Path:
    """Write one case as wmh2017 has it and return its folder."""
    flair, t1, mask = phantom(seed)
    save(folder / "pre" / "FLAIR.nii.gz", flair)
    save(folder / "pre" / "T1.nii.gz", t1)
    save(folder / "wmh.nii.gz", mask)
    return folder


def write_recipe(path: Path, text: str = RECIPE) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five cases of the layout wmh2017: four to learn and choose from, one to test; nobody may change them."""
    folder = tmp_path_factory.mktemp("cohort")
    for number in range(4):
        write_case(folder / "training" / "Utrecht" / str(number), seed=number)
    write_case(folder / "test" / "Utrecht" / "9", seed=9)
    return folder


@pytest.fixture(scope="session")
def tiny_recipe(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_recipe(tmp_path_factory.mktemp("recipe") / "tiny.toml")


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared cases of the cohort, shared by all trainings."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, cohort: Path, tiny_recipe: str, shared_store: Path) -> Trained:
    """One finished training of six steps; copy its folder before changing anything in it."""
    out = tmp_path_factory.mktemp("training")
    return train(tiny_recipe, f"wmh2017:{cohort}", out, store=shared_store)
