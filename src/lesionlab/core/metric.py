"""A score of one mask against another."""

import math
import typing
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, TypeAlias, TypeVar

import numpy as np
from jaxtyping import Bool

from lesionlab.core.grid import Box
from lesionlab.core.registry import Registry

Mask: TypeAlias = Bool[np.ndarray, "x y z"]
Spacing: TypeAlias = tuple[float, float, float]
Part = TypeVar("Part")


@dataclass(frozen=True, kw_only=True)
class MaskPair:
    """A predicted and a reference mask on one grid, with what several metrics need of them computed once.

    Attributes:
        predicted: The mask under judgement.
        reference: The mask taken as true.
        spacing_mm: Distance between neighbouring voxels along each array axis.
    """

    predicted: Mask
    reference: Mask
    spacing_mm: Spacing

    def __post_init__(self) -> None:
        assert self.predicted.shape == self.reference.shape, "the two masks lie on different grids"

    @cached_property
    def box(self) -> Box:
        """The smallest block that holds every voxel of either mask; empty at the origin when both are empty."""
        union = self.predicted | self.reference
        starts, stops = [], []
        for axis in range(3):
            occupied = np.flatnonzero(union.any(axis=tuple({0, 1, 2} - {axis})))
            starts.append(int(occupied[0]) if occupied.size else 0)
            stops.append(int(occupied[-1]) + 1 if occupied.size else 0)
        return Box(start=(starts[0], starts[1], starts[2]), stop=(stops[0], stops[1], stops[2]))

    @cached_property
    def predicted_voxels(self) -> int:
        """Voxels of the prediction."""
        return int(np.count_nonzero(self.predicted))

    @cached_property
    def reference_voxels(self) -> int:
        """Voxels of the reference."""
        return int(np.count_nonzero(self.reference))

    @cached_property
    def shared_voxels(self) -> int:
        """Voxels of both."""
        return int(np.count_nonzero(self.predicted & self.reference))

    @cached_property
    def _parts(self) -> dict[Callable[..., Any], Any]:
        return {}

    def once(self, compute: Callable[["MaskPair"], Part]) -> Part:
        """Return ``compute(self)``, computed at the first call and remembered for this pair.

        Args:
            compute: A module-level function (its identity is the key), such as the surface distances that several
                metrics share.
        """
        if compute not in self._parts:
            self._parts[compute] = compute(self)
        part: Part = self._parts[compute]
        return part


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One number about one region of one case.

    Attributes:
        region: Which region was scored ("lesion", "WT").
        metric: The metric's name in its protocol, unit included where the protocol does so ("hd95_mm").
        value: The number; NaN where the metric is undefined.
        unit: "1" for a fraction or a count, "mm", "ml", "%".
        is_higher_better: The direction of improvement.
        reason: Why the value is NaN, or what rule for empty masks gave it; empty for an ordinary value.
    """

    region: str
    metric: str
    value: float
    unit: str
    is_higher_better: bool
    reason: str = ""

    @property
    def is_defined(self) -> bool:
        """Whether there is a number at all."""
        return not math.isnan(self.value)


class Metric(typing.Protocol):
    """A function of a mask pair with its unit, direction and declared policy for empty masks.

    The policy is an option of the constructor (``both_empty``, ``predicted_empty``, ``reference_empty``), never an
    ``if`` hidden in the arithmetic.
    """

    unit: ClassVar[str]
    is_higher_better: ClassVar[bool]

    def __call__(self, pair: MaskPair) -> float:
        """Return the score; NaN where it is undefined."""
        ...


metric: Registry[Metric] = Registry("metric")
