"""Numbers with a range: what recipes and options of networks, losses and augmentations may be."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias, get_args

from pydantic import AfterValidator, BaseModel, Field, NonNegativeFloat, PositiveFloat

Fraction: TypeAlias = Annotated[float, Field(ge=0, le=1)]
"""A part of a whole, or a probability: 0 to 1."""

FractionBelowOne: TypeAlias = Annotated[float, Field(ge=0, lt=1)]
"""A part that leaves something, such as dropout: 0 to below 1."""

Percentile: TypeAlias = Annotated[float, Field(ge=0, le=100)]

PositiveInt: TypeAlias = Annotated[int, Field(ge=1, lt=2**31)]
"""A count of at least one; no loop, array or file of ours ever has 2**31."""

NonNegativeInt: TypeAlias = Annotated[int, Field(ge=0, lt=2**31)]
"""A count."""

Side: TypeAlias = Annotated[int, Field(ge=1, le=2**14)]
"""Of a slice or patch, in voxels."""

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


def spell_out_booleans(model: type[BaseModel], values: object) -> object:
    """Return what a model is made from, with words for booleans wherever a field takes none; for `model_validator`.

    pydantic takes `true` for the number 1. Here `accumulate = true` is refused, like any other word that is no number.
    """
    if not isinstance(values, Mapping):
        return values
    fields = model.model_fields
    return {
        name: value if name not in fields or _takes_booleans(fields[name].annotation) else _spelled_out(value)
        for name, value in values.items()
    }


def _takes_booleans(annotation: Any) -> bool:
    return annotation in (bool, Any) or any(_takes_booleans(argument) for argument in get_args(annotation))


def _spelled_out(value: object) -> object:
    if isinstance(value, list | tuple):
        return [_spelled_out(item) for item in value]
    return str(value).lower() if isinstance(value, bool) else value
