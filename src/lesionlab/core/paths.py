"""Paths as people give them to a function: as text or as `pathlib.Path`."""

import functools
import inspect
import os
import typing
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from lesionlab.core.errors import OptionError

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def takes_paths(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Return the function with every argument that is annotated as a path, or as several, also taken as text.

    An argument annotated as `str`, such as "LAYOUT:FOLDER", or as several, may be a path in turn. Any other value in
    their place is refused before the function begins, by an `OptionError` that names the argument.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*arguments: Parameters.args, **options: Parameters.kwargs) -> Result:
        bound = signature.bind(*arguments, **options)
        for name, value in bound.arguments.items():
            bound.arguments[name] = _converted(value, signature.parameters[name].annotation, where=f"argument {name!r}")
        return function(*bound.args, **bound.kwargs)

    return call


def _converted(value: Any, annotation: Any, *, where: str) -> Any:
    """Return a value as its annotation has it, where that is a path, a text, or a sequence of either."""
    kinds = typing.get_args(annotation)
    if typing.get_origin(annotation) is Sequence and kinds[0] in (Path, str):
        if isinstance(value, str | os.PathLike) or not isinstance(value, Iterable):
            raise _refusal(value, "a list", where)
        return [_converted(one, kinds[0], where=where) for one in value]
    if annotation in (Path, str):
        if not isinstance(value, str | os.PathLike):
            raise _refusal(value, "text or a path", where)
        return annotation(os.fspath(value))
    if Path in kinds and (isinstance(value, str) or kinds == (Path, type(None))):
        return None if value is None else _converted(value, Path, where=where)
    return value


def _refusal(value: Any, wanted: str, where: str) -> OptionError:
    next_step = f"give {wanted}; help() of the function says of what"
    return OptionError(wanted, found=f"a value of type {type(value).__name__}", where=where, next_step=next_step)
