"""How far two masks share their voxels."""

import math
from dataclasses import dataclass
from typing import ClassVar

from lesionlab.core.metric import MaskPair, metric


@metric("dice")
@dataclass(frozen=True, slots=True, kw_only=True)
class Dice:
    """Twice the shared voxels over the voxels of both masks; in [0, 1].

    One empty mask gives 0.

    Args:
        both_empty: What two empty masks give.

    Source: Dice 1945, doi:10.2307/1932409.
    """

    unit: ClassVar[str] = "1"
    is_higher_better: ClassVar[bool | None] = True
    undefined_when: ClassVar[str] = ""

    both_empty: float = math.nan

    def __call__(self, pair: MaskPair) -> float:
        """Return the Dice coefficient; `both_empty` when there is no voxel at all."""
        voxels = pair.predicted_voxels + pair.reference_voxels
        return 2 * pair.shared_voxels / voxels if voxels else self.both_empty
