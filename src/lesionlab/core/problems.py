"""Say in plain words what a schema found wrong with a value."""

import json
from typing import Any, NamedTuple

from pydantic import ValidationError


class Problem(NamedTuple):
    """What is wrong with one key of a recipe, or with one option.

    Attributes:
        key: Where it stands: names of sections, then of the key.
        is_unknown: Whether there is no such key.
        wanted: What the key may be.
        found: What it is.
    """

    key: tuple[str, ...]
    is_unknown: bool
    wanted: str
    found: str


def first_problem(error: ValidationError) -> Problem:
    """Return what to tell of a failed validation: a misspelt key before whatever may follow from it."""
    problems = error.errors()
    first = next((problem for problem in problems if problem["type"] == "extra_forbidden"), problems[0])
    key = tuple(str(part) for part in first["loc"] if isinstance(part, str))
    places = [part for part in first["loc"] if isinstance(part, int)]
    if first["type"] == "extra_forbidden":
        return Problem(key, is_unknown=True, wanted="", found=repr(".".join(key)))
    if first["type"] == "missing" and not places:
        return Problem(key, is_unknown=False, wanted="a value", found="none")
    if first["type"] == "missing" or (first["type"] == "too_long" and "tuple" in str(first["ctx"]).lower()):
        return Problem(key, is_unknown=False, wanted=f"{_length(error)} values", found=_count(first["input"]))
    message = first["msg"].removeprefix("Value error, ")
    wanted = message.removeprefix("Input should be ").strip()
    where = f", value {places[-1] + 1} of it" if places else ""
    return Problem(key, is_unknown=False, wanted=wanted, found=_short(first["input"]) + where)


def _length(error: ValidationError) -> int:
    """Return how many values a tuple of another length should have had."""
    problems = error.errors()
    if problems[0]["type"] == "too_long":
        return int(problems[0]["ctx"]["max_length"])
    return 1 + max(part for problem in problems for part in problem["loc"] if isinstance(part, int))


def _count(values: Any) -> str:
    return f"{len(values)} ({_short(values)})"


def _short(value: Any) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."
