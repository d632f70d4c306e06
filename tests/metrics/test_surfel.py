"""Distances within which a share of the surface lies."""

import numpy as np

from lesionlab.core.metric import MaskPair
from lesionlab.metrics.surfel import Hausdorff95Surfel


def test_just_95_percent_of_the_area_are_enough_in_every_order_of_voxels() -> None:
    """The reference's surface has forty equal parts, two of them farther than the rest, and their sum is rounded."""
    predicted, reference = np.zeros((2, 4, 3, 7), dtype=np.bool_)
    predicted[(0, 1, 3), (0, 0, 0), (0, 4, 1)] = True
    reference[(0, 0, 0, 0, 3), (0, 0, 1, 1, 1), (0, 5, 1, 6, 1)] = True
    for step in (1, -1):
        pair = MaskPair(predicted=predicted[::step], reference=reference[::step], spacing_mm=(1.0, 0.5, 1.0))
        assert Hausdorff95Surfel()(pair) == np.hypot(2, 0.5)
