"""SACA outlines lesions from the command line: four sequences as in BraTS and T1 alone, pre-trained or not."""

import csv
import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from category_cohort import AFFINE, head
from safetensors.torch import load_file
from tiny_training import save

from lesionlab.cli.main import main
from lesionlab.engine.images import read_image, read_label

NETWORK = """
[network]
name = "saca_swin"
options = { width = 3, heads = [1, 1, 2, 2], window = 3, symmetry_heads = 2 }
"""
PRETRAINING = """
name = "tiny"
task = "pretrain"
modalities = MODALITIES
size = [64, 32, 32]
[preprocessing]
straighten = false
[objectives.inpainting]
[objectives.symmetry]
options = { features = 16 }
[schedule]
steps = 2
learning_rate = 1e-2
precision = "float32"
"""
TRAINING = """
name = "tiny"
modalities = MODALITIES
[loss]
name = "dice_cross_entropy"
[sampling]
size = [64, 32, 32]
[augmentation]
name = "flips_and_intensity"
[training]
steps = 3
batch = 2
precision = "float32"
[validation]
share = 0.25
"""
SEQUENCES = ("t1ce", "t1", "flair", "t2")


def scan(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a head with a bright ball on one side, and where the ball is."""
    image = head(seed, is_ill=True)
    ball = image - head(seed, is_ill=False) > 45
    assert ball.sum() > 200
    return image, ball


def write_brats(folder: Path) -> tuple[str, dict[str, set[int]]]:
    for number in range(4):
        image, ball = scan(number)
        name = f"BraTS2021_{number:05}"
        for place, sequence in enumerate(SEQUENCES):
            save(folder / name / f"{name}_{sequence}.nii.gz", image + 10 * place, AFFINE)
        label = 2 * ball.astype(np.uint8)
        label[ball & (np.indices(ball.shape)[1] > np.argwhere(ball).mean(axis=0)[1])] = 4
        label[ball & (np.indices(ball.shape)[2] > np.argwhere(ball).mean(axis=0)[2])] = 1
        save(folder / name / f"{name}_seg.nii.gz", label, AFFINE)
    return f"brats:{folder}", {"WT": {1, 2, 4}, "TC": {1, 4}, "ET": {4}}


def write_t1(folder: Path) -> tuple[str, dict[str, set[int]]]:
    rows = []
    for number in range(4):
        image, ball = scan(number)
        save(folder / f"{number}_t1.nii.gz", image, AFFINE)
        save(folder / f"{number}_mask.nii.gz", ball.astype(np.uint8), AFFINE)
        rows.append((str(number), "patient", f"{number}_mask.nii.gz", f"{number}_t1.nii.gz"))
    with (folder / "cases.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("id", "category", "label", "t1"), *rows])
    return f"table:{folder}", {"lesion": {1}}


def ended(*words: object) -> object:
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    return caught.value.code


def write_recipe(path: Path, text: str, modalities: tuple[str, ...]) -> Path:
    path.write_text(text.replace("MODALITIES", json.dumps(modalities)) + NETWORK, encoding="utf-8")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("is_pretrained", [False, True], ids=["from_scratch", "pretrained"])
@pytest.mark.parametrize("modalities", [SEQUENCES, ("t1",)], ids=["brats", "t1"])
def test_from_scans_to_a_mask(
    modalities: tuple[str, ...], is_pretrained: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    data, regions = (write_brats if len(modalities) > 1 else write_t1)(tmp_path / "scans")
    recipe = write_recipe(tmp_path / "train.toml", TRAINING, modalities)
    run, masks, start = tmp_path / "run", tmp_path / "masks", []
    if is_pretrained:
        encoder = write_recipe(tmp_path / "pretrain.toml", PRETRAINING, modalities)
        assert ended("pretrain", encoder, data, tmp_path / "encoder") == 0
        start = ["--start-from", f"own:{tmp_path / 'encoder' / 'best' / 'weights.safetensors'}"]
    slow = ["--change", "training.learning_rate=1e-9", "--change", "training.final_learning_rate=0"]
    with caplog.at_level(logging.INFO):
        assert ended("train", recipe, data, run, *start, *(slow if is_pretrained else [])) == 0
    found = load_file(run / "last" / "weights.safetensors")
    if is_pretrained:
        learned = load_file(tmp_path / "encoder" / "best" / "weights.safetensors")
        shared = {name for name in found if name.startswith(("encoder.", "symmetry."))}
        heads = {name for name in learned if name.startswith("objectives.")}
        assert set(learned) == shared | heads
        assert f"starting from own: {len(shared)} loaded" in caplog.text
        assert f"{len(found) - len(shared)} missing (first: decoder." in caplog.text
        assert f"{len(heads)} unexpected" in caplog.text
        assert all(torch.allclose(found[name], learned[name], atol=1e-6) for name in shared)
    assert ended("predict", run, data, masks) == 0
    written = sorted(masks.glob("*_mask.nii.gz"))
    assert len(written) == 4
    assert set(np.unique(read_label(written[0]).array)) <= {0}.union(*regions.values())
    original = next((tmp_path / "scans").rglob("*t1.nii.gz"))
    assert read_label(written[0]).grid.distance_mm(read_image(original).grid) < 1e-3
