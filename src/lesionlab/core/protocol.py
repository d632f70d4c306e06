"""How one challenge scores a case: its metrics, label handling and empty-case rules, exactly."""

import typing
from typing import ClassVar, TypeAlias

import numpy as np
from jaxtyping import Shaped

from lesionlab.core.metric import Score, Spacing
from lesionlab.core.registry import Registry

LabelMap: TypeAlias = Shaped[np.ndarray, "x y z"]
"""Stored label values or probabilities; bool, integer or float."""


@typing.runtime_checkable
class Protocol(typing.Protocol):
    """The scoring rules of one challenge or paper.

    A protocol whose regions are those of the data set takes them as the constructor's option ``labels``.

    Attributes:
        title: What a reader calls it.
        citation: Where the rules were published, with the commit of the official code.
        is_legacy: Whether these rules are kept only to reproduce published numbers.
    """

    title: ClassVar[str]
    citation: ClassVar[str]
    is_legacy: ClassVar[bool]

    def score(self, predicted: LabelMap, reference: LabelMap, *, spacing_mm: Spacing) -> tuple[Score, ...]:
        """Score one case.

        Args:
            predicted: Label map or mask.
            reference: Label map with the dataset's own stored values, ignored ones included.
            spacing_mm: Distance between neighbouring voxels along each array axis.
        """
        ...


protocol: Registry[Protocol] = Registry("protocol")
