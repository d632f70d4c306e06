"""The mask lies where the lesion is, however the scan was stored."""

import itertools
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from tiny_training import AFFINE, phantom, save

from lesionlab.core.case import Case
from lesionlab.core.errors import PredictionError
from lesionlab.core.postprocessing import Postprocessing
from lesionlab.engine import predictor as predictor_module
from lesionlab.engine.checkpoint import (
    Checkpoint,
    build_planned_network,
    open_checkpoint,
    save_checkpoint,
    save_postprocessing,
)
from lesionlab.engine.images import read_image
from lesionlab.engine.predictor import Predictor
from lesionlab.workflows.predict import predict
from lesionlab.workflows.train import Trained


def oblique(degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turned = np.eye(4)
    turned[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    return turned @ AFFINE


def write_scan(folder: Path, affine: np.ndarray, codes: str) -> Case:
    images = {}
    for name, array in zip(("FLAIR", "T1"), phantom(5)[:2], strict=True):
        image = nibabel.Nifti1Image(array, affine)
        turned = image.as_reoriented(ornt_transform(io_orientation(affine), axcodes2ornt(tuple(codes))))
        images[name.lower()] = save(folder / "pre" / f"{name}.nii", np.asarray(turned.dataobj), turned.affine)
    return Case(id=folder.name, images=images, label=None, group=folder.name)


@pytest.fixture(scope="module")
def checkpoint(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Random weights and a threshold that about a third of the head is above: a mask with every kind of edge."""
    plan = open_checkpoint(trained.folder).plan
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("random") / "best"
    weights = build_planned_network(plan).state_dict()
    save_checkpoint(folder, weights, plan=plan, training_state=None, progress={})
    opened = open_checkpoint(folder)
    case = write_scan(tmp_path_factory.mktemp("scan"), AFFINE, "RAS")
    probabilities = Predictor(opened, plan.recipe.inference).predict(case).probabilities
    threshold = float(np.percentile(probabilities[probabilities > 0], 66))
    save_postprocessing(opened, Postprocessing(threshold=threshold, smallest_lesion_mm3=20))
    return open_checkpoint(folder)


def voxels_of(path: Path, affine: np.ndarray) -> set[tuple[int, ...]]:
    """Return which voxels of the lattice `affine` the mask covers in the world; they must lie on it to 1e-3 voxel."""
    image = nibabel.load(path)
    places = nibabel.affines.apply_affine(np.linalg.inv(affine) @ image.affine, np.argwhere(np.asarray(image.dataobj)))
    assert np.abs(places - np.rint(places)).max() < 1e-3
    return {tuple(place) for place in np.rint(places).astype(int).tolist()}


@pytest.mark.parametrize("degrees", [0.0, 20.0])
@pytest.mark.parametrize("axes", list(itertools.permutations(("RL", "AP", "SI"))), ids="".join)
def test_one_mask_in_the_world_for_every_order_of_axes(
    checkpoint: Checkpoint, tmp_path: Path, axes: tuple[str, ...], degrees: float
):
    """Together these are the 48 orders, straight and oblique."""
    affine, orders = oblique(degrees), {"RAS", *map("".join, itertools.product(*axes))}
    for codes in orders:
        write_scan(tmp_path / "data" / "Site" / codes, affine, codes)
    predicted = predict(checkpoint.folder, f"wmh2017:{tmp_path / 'data'}", tmp_path / "out")
    assert not predicted.failures
    assert len(predicted.files) == len(orders) >= 8
    expected = voxels_of(tmp_path / "out" / "Site_RAS_mask.nii.gz", affine)
    assert len(expected) > 100
    for codes in orders:
        mask = nibabel.load(tmp_path / "out" / f"Site_{codes}_mask.nii.gz")
        scan = nibabel.load(tmp_path / "data" / "Site" / codes / "pre" / "FLAIR.nii")
        assert mask.shape == scan.shape
        assert "".join(nibabel.aff2axcodes(mask.affine)) == codes
        np.testing.assert_allclose(mask.affine, scan.affine, atol=1e-4)
        assert voxels_of(tmp_path / "out" / f"Site_{codes}_mask.nii.gz", affine) == expected


def test_a_mask_in_the_case_changes_no_probability(checkpoint: Checkpoint, tmp_path: Path):
    case = write_scan(tmp_path / "a", AFFINE, "RAS")
    everywhere = save(tmp_path / "mask.nii", np.ones(read_image(case.images["flair"]).grid.shape, np.uint8))
    labelled = Case(id="a", images=case.images, label=everywhere, group="a")
    predictor = Predictor(checkpoint, checkpoint.plan.recipe.inference)
    expected, found = predictor.predict(case), predictor.predict(labelled)
    np.testing.assert_array_equal(found.probabilities, expected.probabilities)
    assert (found.probabilities == 0).any()


def test_probabilities_are_what_they_say(checkpoint: Checkpoint, tmp_path: Path):
    case = write_scan(tmp_path / "a", AFFINE, "SPL")
    prediction = Predictor(checkpoint, checkpoint.plan.recipe.inference).predict(case)
    assert prediction.probabilities.shape == (1, *prediction.grid.shape)
    assert prediction.probabilities.min() >= 0
    assert prediction.probabilities.max() <= 1
    assert prediction.grid == read_image(case.images["flair"]).grid


def test_a_checkpoint_of_float16_predicts_without_a_gpu(checkpoint: Checkpoint, tmp_path: Path):
    recipe = checkpoint.plan.recipe
    halved = recipe.model_copy(update={"training": recipe.training.model_copy(update={"precision": "float16"})})
    weights = checkpoint.load_network().state_dict()
    plan = checkpoint.plan.model_copy(update={"recipe": halved})
    save_checkpoint(tmp_path / "best", weights, plan=plan, training_state=None, progress={})
    predictor = Predictor(open_checkpoint(tmp_path), recipe.inference)
    case = write_scan(tmp_path / "a", AFFINE, "RAS")
    assert predictor.predict(case).probabilities.any()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("spoilt", ["everything", "one"])
def test_probabilities_that_are_no_numbers_are_refused(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float, spoilt: str
):
    """A single voxel is enough: below any threshold, it would be a hole that nobody sees."""
    real = predictor_module.predict_probabilities

    def spoil(*arguments: object, **options: object) -> np.ndarray:
        probabilities = np.array(real(*arguments, **options))
        probabilities.flat[: probabilities.size if spoilt == "everything" else 1] = value
        return probabilities

    monkeypatch.setattr(predictor_module, "predict_probabilities", spoil)
    case = write_scan(tmp_path / "a", AFFINE, "RAS")
    with pytest.raises(PredictionError, match=r"finite probabilities; found .* NaN or infinite; in case a"):
        Predictor(checkpoint, checkpoint.plan.recipe.inference).predict(case)


def test_a_scan_too_large_for_the_memory_is_a_refusal_of_its_case(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def prepare(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate 9.00 TiB for an array")

    monkeypatch.setattr(predictor_module, "prepare", prepare)
    case = write_scan(tmp_path / "a", AFFINE, "RAS")
    with pytest.raises(PredictionError, match=r"another 9\.00 TiB of memory; .* in case a"):
        Predictor(checkpoint, checkpoint.plan.recipe.inference).predict(case)


@pytest.mark.parametrize("shown", [("flair",), ("t1",)])
def test_without_a_modality_the_others_are_padded_with_their_own_air(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: tuple[str, ...]
):
    """What is absent counts as zeros, as it does in training; what is there gets the air that a complete case has."""
    recipe = checkpoint.plan.recipe
    forgiving = recipe.model_copy(update={"training": recipe.training.model_copy(update={"modality_dropout": 0.3})})
    backgrounds = []
    real = predictor_module.predict_probabilities

    def spy(*arguments: object, **options: object) -> np.ndarray:
        backgrounds.append(options["background"])
        return real(*arguments, **options)

    monkeypatch.setattr(predictor_module, "predict_probabilities", spy)
    case = write_scan(tmp_path / "a", AFFINE, "RAS")
    predictor = Predictor(
        replace(checkpoint, plan=checkpoint.plan.model_copy(update={"recipe": forgiving})), recipe.inference
    )
    for modalities in (recipe.modalities, shown):
        predictor.predict(replace(case, images={name: case.images[name] for name in modalities}))
    complete, partial = backgrounds
    assert min(complete) < -0.5
    expected = [air if name in shown else 0 for name, air in zip(recipe.modalities, complete, strict=True)]
    assert partial == pytest.approx(expected, abs=0.2), "up to the box that both modalities share"
