"""Small lesions are not drowned by large ones."""

import numpy as np

from lesionlab.engine.lesion_index import index_lesions


def mask() -> np.ndarray:
    """One lesion of 512 voxels, one of a single voxel."""
    lesion = np.zeros((20, 20, 12), bool)
    lesion[2:10, 2:10, 2:10] = True
    lesion[15, 16, 3] = True
    return lesion


def share_of_the_small_one(choice: str) -> float:
    index, generator = index_lesions(mask()), np.random.default_rng(0)
    drawn = [index.draw(choice, generator=generator) for _ in range(600)]
    assert all(mask()[place] for place in drawn)
    return float(np.mean([place == (15, 16, 3) for place in drawn]))


def test_every_lesion_comes_equally_often_by_instance_and_every_voxel_by_voxel():
    assert 0.4 < share_of_the_small_one("instance") < 0.6
    assert share_of_the_small_one("voxel") < 0.02


def test_no_lesion_gives_no_voxel():
    index = index_lesions(np.zeros((4, 4, 4), bool))
    for choice in ("voxel", "instance"):
        assert index.draw(choice, generator=np.random.default_rng(0)) is None
