"""Branches are left out whole."""

import torch

from lesionlab.blocks.drop_path import DropPath


def test_drop_path_leaves_whole_items_out_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    branch = torch.ones(4000, 3, dtype=torch.float64)
    dropped = DropPath(0.25)(branch)
    assert set(dropped.unique().tolist()) == {0.0, 1 / 0.75}
    assert ((dropped == 0).all(1) | (dropped != 0).all(1)).all()
    assert abs(dropped.mean() - 1) < 0.05
    assert DropPath(0.25).eval()(branch) is branch
