"""How one challenge scores a case: its metrics, label handling and empty-case rules, exactly."""

import typing
from typing import ClassVar

import numpy as np
from jaxtyping import Num

from lesionlab.core.metric import Score, Spacing
from lesionlab.core.registry import Registry


class Protocol(typing.Protocol):
    """The scoring rules of one challenge or paper.

    Attributes:
        title: What a reader calls it.
        citation: Where the rules were published, with the commit of the official code.
        is_legacy: Whether these rules are kept only to reproduce published numbers.
    """

    title: ClassVar[str]
    citation: ClassVar[str]
    is_legacy: ClassVar[bool]

    def score(
        self, predicted: Num[np.ndarray, "x y z"], reference: Num[np.ndarray, "x y z"], *, spacing_mm: Spacing
    ) -> tuple[Score, ...]:
        """Score one case.

        Args:
            predicted: Label map or mask.
            reference: Label map with the dataset's own stored values, ignored ones included.
            spacing_mm: Distance between neighbouring voxels along each array axis.
        """
        ...


protocol: Registry[Protocol] = Registry("protocol")
