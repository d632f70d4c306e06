"""Numbers with a range: what recipes and options of networks, losses and augmentations may be."""

from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

Fraction: TypeAlias = Annotated[float, Field(ge=0, le=1)]
"""A part of a whole, or a probability: 0 to 1."""

FractionBelowOne: TypeAlias = Annotated[float, Field(ge=0, lt=1)]
"""A part that leaves something, such as dropout: 0 to below 1."""

Percentile: TypeAlias = Annotated[float, Field(ge=0, le=100)]

Seed: TypeAlias = Annotated[int, Field(ge=0, lt=2**63)]
"""Of random numbers: what both PyTorch and NumPy take."""


def _check_ascending(values: tuple[int | float, ...]) -> tuple[int | float, ...]:
    if list(values) != sorted(values):
        raise ValueError("the smaller end comes first")
    return values


def _check_apart(ends: tuple[float, float]) -> tuple[float, float]:
    if not ends[0] < ends[1]:
        raise ValueError("two ends, the smaller one first")
    return ends


def check_distinct(names: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Refuse a name that comes twice; for `AfterValidator`.

    Raises:
        ValueError: One does.
    """
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"names that differ; {', '.join(twice)} comes more than once")
    return names


Apart = AfterValidator(_check_apart)
"""For ranges that something is divided by: the smaller end comes first, and they differ."""

Ascending = AfterValidator(_check_ascending)
"""For ranges: the smaller end comes first; both may be equal."""

FloatRange: TypeAlias = Annotated[tuple[NonNegativeFloat, NonNegativeFloat], Ascending]
"""Smallest and largest, from 0 on."""

PositiveRange: TypeAlias = Annotated[tuple[PositiveFloat, PositiveFloat], Ascending]
"""Smallest and largest, above 0."""

CountRange: TypeAlias = Annotated[tuple[NonNegativeInt, NonNegativeInt], Ascending]
"""Fewest and most, from 0 on."""

SizeRange: TypeAlias = Annotated[tuple[PositiveInt, PositiveInt], Ascending]
"""Shortest and longest side in voxels, from 1 on."""
