"""Exclusive classes become regions, and a network learns them from one end to the other."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from tiny_training import RECIPE, phantom, save, write_recipe

from lesionlab.engine.readout import Readout
from lesionlab.workflows.predict import predict
from lesionlab.workflows.train import train

WHOLE_AND_CORE = Readout(members=((1, 2), (2,)))


def test_above_a_half_is_where_the_likeliest_class_is() -> None:
    outputs = torch.softmax(torch.randn(2, 3, 5, 6, generator=torch.Generator().manual_seed(0)), dim=1)
    whole, core = WHOLE_AND_CORE.each_region(outputs)
    likeliest = outputs.argmax(dim=1)
    assert torch.equal(whole > 0.5, likeliest > 0)
    assert torch.equal(core > 0.5, likeliest == 2)


def test_one_class_against_the_background_keeps_its_probability() -> None:
    outputs = torch.softmax(torch.randn(1, 2, 4, 4), dim=1)
    (region,) = Readout(members=((1,),)).each_region(outputs)
    torch.testing.assert_close(region, outputs[:, 1])


def test_each_region_keeps_its_own_probability() -> None:
    logits = torch.randn(1, 2, 4, 4)
    readout = Readout()
    expected = torch.sigmoid(logits)
    assert torch.equal(torch.stack(list(readout.each_region(readout.probabilities(logits))), dim=1), expected)


@pytest.mark.slow
def test_a_network_learns_exclusive_values_of_regions_that_overlap(tmp_path: Path) -> None:
    folder = tmp_path / "brats"
    for number in range(3):
        flair, t1, mask = phantom(number)
        mask[np.cumsum(mask, axis=0) > 1] = 3 * (mask[np.cumsum(mask, axis=0) > 1] > 0)
        name = f"BraTS-GLI-0000{number}-000"
        for modality, voxels in (("t2f", flair), ("t1n", t1), ("t1c", t1), ("t2w", flair)):
            save(folder / name / f"{name}-{modality}.nii.gz", voxels)
        save(folder / name / f"{name}-seg.nii.gz", mask)
    recipe = RECIPE.replace('name = "tiny"', 'name = "tiny"\nclasses = "values"').replace(
        "synapse_net_binary", "dice_cross_entropy"
    )
    trained = train(write_recipe(tmp_path / "r.toml", recipe), f"brats:{folder}", tmp_path / "run")
    written = predict(tmp_path / "run", f"brats:{folder}", tmp_path / "masks")
    assert not written.failures
    assert trained.is_finished
    values = {int(value) for file in written.files for value in np.unique(nibabel.load(file).dataobj)}
    assert values <= {0, 1, 2, 3}
