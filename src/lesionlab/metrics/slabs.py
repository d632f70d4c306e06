"""Volumes in slabs that fit into a processor's cache."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Shaped

SLAB_VOXELS = 262_144
"""So many voxels and what is made of them stay in the cache."""


def slabs(volume: Shaped[np.ndarray, "x y z"]) -> Iterator[slice]:
    """Yield slices of the first axis that make up the whole, in its order."""
    thick = max(1, SLAB_VOXELS // max(1, volume[:1].size))
    for start in range(0, len(volume), thick):
        yield slice(start, min(start + thick, len(volume)))
