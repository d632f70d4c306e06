"""What every test shares: type and shape checks at run time, and the material beside the project."""

import gc
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

# Every annotated argument and result of lesionlab is checked, tensor shapes included, while tests run.
install_import_hook("lesionlab", "beartype.beartype")

# How long an example takes belongs to the machine: it is never what a test fails for.
settings.register_profile("lesionlab", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lesionlab")

pytest_plugins = ["tiny_training", "category_cohort"]

SHARED = Path(__file__).parents[2] / "shared"


def folder_or_skip(folder: Path) -> Path:
    if not folder.is_dir():
        pytest.skip(f"{folder} is not on this machine")
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Real scans with expert masks; see LESIONLAB_REAL_DATA in CONTRIBUTING.md."""
    return folder_or_skip(Path(os.environ.get("LESIONLAB_REAL_DATA", SHARED / "data")))


@pytest.fixture(scope="session")
def parity() -> Path:
    """Outputs of the published networks for weights made by a recipe."""
    return folder_or_skip(SHARED / "parity")


@pytest.fixture(scope="session")
def oracles() -> Path:
    """Mask pairs with the values that official evaluation code gives for them."""
    return folder_or_skip(SHARED / "oracles")


@pytest.fixture(scope="session")
def published_keys() -> Path:
    """Names and shapes of the published weights."""
    return folder_or_skip(SHARED / "specs" / "keys")


USUAL_LIMIT_S = 900
"""As pyproject.toml sets it; what a test's own mark allows beyond this makes it one of the long ones."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long tests, the longest first, so that no process is left with one of them at the end."""
    items.sort(key=_limit_s, reverse=True)


def pytest_collection_finish() -> None:
    """Keep the collector of garbage from looking at what imports made, again and again: it stays until the end."""
    gc.collect()
    gc.freeze()


def _limit_s(item: pytest.Item) -> float:
    mark = item.get_closest_marker("timeout")
    return max(float(mark.args[0]) if mark else 0.0, USUAL_LIMIT_S)
