"""Connected components of a mask: single lesions."""

from typing import Literal, TypeAlias

import cc3d
import numpy as np
from jaxtyping import Bool, UInt

Neighbours: TypeAlias = Literal[4, 8, 6, 26]
Numbers: TypeAlias = UInt[np.ndarray, "*space"]


def number_components(mask: Bool[np.ndarray, "*space"], *, neighbours: Neighbours) -> tuple[Numbers, int]:
    """Number the connected components of a mask in C order from 1; return the numbers and how many there are.

    The numbers have 16 bits wherever cc3d knows beforehand that these suffice. A mask in C order is not copied.

    Args:
        mask: A slice or a volume.
        neighbours: That count as connected: 4 or 8 in a slice, 6 or 26 in a volume.
    """
    # In C order: cc3d 4.1 misreads views with negative strides. As bytes: it takes bools for a binary image, in which
    # it expects too few components where a size is odd.
    voxels = np.ascontiguousarray(mask).view(np.uint8)
    components, n = cc3d.connected_components(voxels, connectivity=neighbours, return_N=True)
    return components, int(n)
