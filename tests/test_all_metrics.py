"""Every registered metric keeps the contract of `lesionlab.core.metric.Metric`."""

import math
import subprocess
import sys

import numpy as np
import pytest

import lesionlab.metrics  # noqa: F401 (registers them)
from lesionlab.core.metric import Mask, MaskPair, metric

UNITS = {"1", "lesions", "mm", "voxel", "ml", "%"}
EMPTY = np.zeros((6, 7, 8), dtype=bool)
LESION = EMPTY.copy()
LESION[2:4, 2:4, 2:4] = True
NOISE = np.random.default_rng(0).random(EMPTY.shape) < 0.1


def pair_of(predicted: Mask, reference: Mask) -> MaskPair:
    return MaskPair(predicted=predicted, reference=reference, spacing_mm=(1.0, 1.5, 2.0))


@pytest.mark.parametrize("name", list(metric))
def test_declares_itself(name: str) -> None:
    judge = metric.build(name)
    assert judge.unit in UNITS
    assert judge.is_higher_better in (True, False, None)
    assert not (type(judge).__doc__ or "").startswith(f"{type(judge).__name__}("), "the docstring is the generated one"


@pytest.mark.parametrize("name", list(metric))
def test_gives_a_plain_finite_float_for_two_masks(name: str) -> None:
    judge = metric.build(name)
    value = judge(pair_of(NOISE, LESION))
    assert type(value) is float
    assert math.isfinite(value)
    if judge.unit == "1" and judge.is_higher_better:
        assert (-1 if name == "matthews_correlation" else 0) <= value <= 1


@pytest.mark.parametrize("name", list(metric))
def test_equal_masks_score_best(name: str) -> None:
    judge = metric.build(name)
    best = {True: 1.0, False: 0.0}
    if judge.is_higher_better is not None:
        assert judge(pair_of(LESION, LESION)) == pytest.approx(best[judge.is_higher_better], abs=1e-12)


@pytest.mark.parametrize("name", list(metric))
@pytest.mark.parametrize(("predicted", "reference"), [(EMPTY, EMPTY), (EMPTY, LESION), (LESION, EMPTY)])
def test_empty_masks_raise_nothing(name: str, predicted: Mask, reference: Mask) -> None:
    assert type(metric.build(name)(pair_of(predicted, reference))) is float


@pytest.mark.parametrize("name", list(metric))
def test_leaves_its_masks_alone(name: str) -> None:
    predicted, reference = NOISE.copy(), LESION.copy()
    metric.build(name)(pair_of(predicted, reference))
    np.testing.assert_array_equal(predicted, NOISE)
    np.testing.assert_array_equal(reference, LESION)


def test_scores_and_layouts_load_neither_torch_nor_monai() -> None:
    code = (
        "import sys, lesionlab.metrics, lesionlab.protocols, lesionlab.layouts;"
        "sys.exit(sorted({'torch', 'monai', 'lightning_fabric'} & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
