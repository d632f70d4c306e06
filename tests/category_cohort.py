"""Small heads with and without a one-sided bright spot, and a recipe of a classifier small enough for seconds."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from tiny_training import save

from lesionlab.workflows.train import Trained, train

SHAPE = (36, 30, 24)
AFFINE = np.diag([-2.0, 2.0, 2.0, 1.0])
"""The first axis runs from right to left, so that reading has to turn it."""

RECIPE = """
name = "tiny_classifier"
task = "classify"
modalities = ["t1"]
[network]
name = "saca_swin_classifier"
options = { width = 3, heads = [1, 1, 2, 2], window = 3, symmetry_heads = 4 }
[loss]
name = "class_cross_entropy"
[sampling]
size = [40, 32, 32]
[augmentation]
name = "flips_and_intensity"
options = { flip = 0.0 }
[training]
steps = 2
batch = 2
learning_rate = 2e-3
precision = "float32"
[validation]
share = 0.4
"""


def head(seed: int, *, is_ill: bool) -> np.ndarray:
    """Return a noisy ellipsoid; an ill one has a bright ball on one side of it."""
    generator = np.random.default_rng(seed)
    x, y, z = np.indices(SHAPE)
    inside = ((x - 17.5) / 15) ** 2 + ((y - 14.5) / 13) ** 2 + ((z - 11.5) / 10) ** 2 < 1
    image = np.where(inside, 100.0, 0.0) + generator.normal(0, 3, SHAPE)
    if is_ill:
        middle = (17.5 + generator.choice([-8, 8]), *generator.integers((11, 9), (18, 15)))
        ball = sum((grid - place) ** 2 for grid, place in zip((x, y, z), middle, strict=True)) < 5**2
        image[ball] += 90
    return image.astype(np.float32)


def write_table(folder: Path, rows: Sequence[Mapping[str, str]]) -> str:
    """Write the table of the layout `table` and return the dataset's name."""
    folder.mkdir(parents=True, exist_ok=True)
    header = ["id", "group", "site", "split", "category", "label", "t1"]
    with (folder / "cases.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, header, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return f"table:{folder}"


def rows_of(folder: Path, *, cases: int) -> list[dict[str, str]]:
    """Write so many heads, healthy and ill in turns, the last third for test, and return their rows."""
    rows = []
    for number in range(cases):
        is_ill = number % 2 == 1
        save(folder / f"{number:02}.nii.gz", head(number, is_ill=is_ill), AFFINE)
        rows.append(
            {
                "id": f"case{number:02}",
                "site": "Northford",
                "split": "test" if number >= cases * 2 // 3 else "",
                "category": "stroke" if is_ill else "healthy",
                "t1": f"{number:02}.nii.gz",
            }
        )
    return rows


@pytest.fixture(scope="session")
def categories(tmp_path_factory: pytest.TempPathFactory) -> str:
    """LAYOUT:FOLDER of twelve heads, eight to learn and choose from; nobody may change them."""
    folder = tmp_path_factory.mktemp("categories")
    return write_table(folder, rows_of(folder, cases=12))


@pytest.fixture(scope="session")
def classifier_recipe(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("recipe") / "tiny_classifier.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return str(path)


@pytest.fixture(scope="session")
def category_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared heads, shared by all trainings."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="session")
def classifier(
    tmp_path_factory: pytest.TempPathFactory, categories: str, classifier_recipe: str, category_store: Path
) -> Trained:
    """One finished training of two steps; copy its folder before changing anything in it."""
    return train(classifier_recipe, categories, tmp_path_factory.mktemp("training"), store=category_store)
