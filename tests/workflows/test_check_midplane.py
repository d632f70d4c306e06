"""What check says about the plane between the hemispheres."""

from pathlib import Path

import numpy as np
import pytest
from tiny_training import save

from lesionlab.workflows.check import check


@pytest.mark.slow
def test_heads_and_noise_are_told_apart(tmp_path: Path):
    affine = np.diag([5.0, 5.0, 5.0, 1.0])
    x, y, z = np.indices((36, 40, 32)) - np.array([19.5, 19.5, 15.5]).reshape(3, 1, 1, 1)
    head = np.where((x / 13) ** 2 + (y / 17) ** 2 + (z / 13) ** 2 < 1, 100.0, 0.0)
    head[(np.abs(x) - 4) ** 2 + y**2 / 4 + z**2 < 9] = 20
    head[(np.abs(x) - 7) ** 2 + (y + 8) ** 2 / 2 + (z + 3) ** 2 < 12] = 150
    noise = np.random.default_rng(0).standard_normal((36, 40, 32))
    save(tmp_path / "head.nii.gz", head.astype(np.float32), affine)
    save(tmp_path / "noise.nii.gz", noise.astype(np.float32), affine)
    (tmp_path / "cases.csv").write_text("id,t1\nhead,head.nii.gz\nnoise,noise.nii.gz\n")
    found = {one.case: one for one in check(f"table:{tmp_path}", midplane=True) if one.rule == "midplane"}
    assert {case: one.severity for case, one in found.items()} == {"head": "note", "noise": "warning"}
    assert "10.0 mm from the middle" in found["head"].found
    assert [one for one in check(f"table:{tmp_path}") if one.rule == "midplane"] == []
