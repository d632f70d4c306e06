"""A score of one mask against another."""

import math
import typing
from collections.abc import Callable, Mapping
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

_NEARLY_FULL = 0.8
"""Above this share of the volume, cutting out what holds the masks is not worth a copy."""


@dataclass(frozen=True, kw_only=True)
class MaskPair:
    """A predicted and a reference mask on one grid, with what several metrics need of them computed once.

    Attributes:
        predicted: The mask under judgement.
        reference: The mask taken as true.
        spacing_mm: Distance between neighbouring voxels along each array axis.
        is_picture: Whether the masks are one 2-D picture, so that an outline is sought in the plane; a volume of one
            slice has a surface above and below instead.
    """

    predicted: Mask
    reference: Mask
    spacing_mm: Spacing
    is_picture: bool = False

    def __post_init__(self) -> None:
        assert self.predicted.shape == self.reference.shape, "the two masks lie on different grids"
        assert self.predicted.shape[2] == 1 or not self.is_picture, "a picture is one voxel thick"

    @cached_property
    def box(self) -> Box:
        """The smallest block that holds every voxel of either mask; empty at the origin when both are empty."""
        return Box.uniting([Box.around(self.predicted), Box.around(self.reference)])

    @cached_property
    def cropped(self) -> tuple[Mask, Mask]:
        """Both masks, predicted first, cut to `box` with one voxel of margin where the volume has one.

        Masks that nearly fill the volume stay whole, which takes no memory. They are in C order, copied where they are
        not: cc3d 4.1 reads views with negative strides wrongly.
        """
        shape = self.predicted.shape
        slices = tuple(
            slice(max(start - 1, 0), min(stop + 1, size))
            for start, stop, size in zip(self.box.start, self.box.stop, shape, strict=True)
        )
        if math.prod(part.stop - part.start for part in slices) > _NEARLY_FULL * self.predicted.size:
            slices = (slice(None), slice(None), slice(None))
        return np.ascontiguousarray(self.predicted[slices]), np.ascontiguousarray(self.reference[slices])

    @cached_property
    def predicted_voxels(self) -> int:
        """Voxels of the prediction."""
        return int(np.count_nonzero(self.cropped[0]))

    @cached_property
    def reference_voxels(self) -> int:
        """Voxels of the reference."""
        return int(np.count_nonzero(self.cropped[1]))

    @cached_property
    def shared_voxels(self) -> int:
        """Voxels of both."""
        predicted, reference = self.cropped
        return int(np.count_nonzero(predicted & reference))

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return math.prod(self.spacing_mm) / 1000

    @property
    def emptiness(self) -> str:
        """Which mask is empty, in words; an empty string when neither is."""
        if self.predicted_voxels == 0 and self.reference_voxels == 0:
            return "both masks are empty"
        if self.predicted_voxels == 0:
            return "the prediction is empty"
        return "the reference is empty" if self.reference_voxels == 0 else ""

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
        unit: "1" for a fraction, "lesions" for their number, "mm", "voxel", "ml", "%".
        is_higher_better: The direction of improvement; None where neither is (a volume, a signed difference).
        reason: Why the value is NaN, or which mask is empty so that a rule gave it; empty for an ordinary value.
    """

    region: str
    metric: str
    value: float
    unit: str
    is_higher_better: bool | None
    reason: str = ""

    @property
    def is_defined(self) -> bool:
        """Whether there is a number at all."""
        return not math.isnan(self.value)


@typing.runtime_checkable
class Metric(typing.Protocol):
    """A function of a mask pair with its unit, direction and declared policy for empty masks.

    The policy is an option of the constructor (``both_empty``, ``one_empty``, ``reference_empty``), never an ``if``
    hidden in the arithmetic.

    Attributes:
        unit: As in `Score`.
        is_higher_better: As in `Score`.
        undefined_when: The condition, in words, under which a pair without an empty mask gives NaN; may be empty.
    """

    unit: ClassVar[str]
    is_higher_better: ClassVar[bool | None]
    undefined_when: ClassVar[str]

    def __call__(self, pair: MaskPair) -> float:
        """Return the score; NaN where it is undefined."""
        ...


metric: Registry[Metric] = Registry("metric", takes_nan=True)


def score_each(metrics: Mapping[str, Metric], pair: MaskPair, *, region: str) -> tuple[Score, ...]:
    """Return one score per metric, named as the keys, with the reason where a mask is empty or the value undefined."""
    return tuple(_score(name, judge, pair, region) for name, judge in metrics.items())


def _score(name: str, judge: Metric, pair: MaskPair, region: str) -> Score:
    value = judge(pair)
    return Score(
        region=region,
        metric=name,
        value=value,
        unit=judge.unit,
        is_higher_better=judge.is_higher_better,
        reason=pair.emptiness or (judge.undefined_when if math.isnan(value) else ""),
    )
