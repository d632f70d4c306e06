"""Options that would do nothing are refused, so that nobody believes that they did something."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from lesionlab.core.ignored_option import ignored_option


def refuse_ignored(command: Callable[..., int], given: Mapping[str, Any], *names: str, because: str) -> None:
    """Refuse options of a command that differ from their defaults although they would change nothing.

    Args:
        command: As its function is written.
        given: Values of its parameters, such as its ``locals()``.
        names: Of the parameters that have no effect here.
        because: When they have one, as a condition: "only with --longitudinal".

    Raises:
        OptionError: One of them was given.
    """
    parameters = inspect.signature(command).parameters
    for name in names:
        if given[name] != parameters[name].default:
            option = "--" + name.replace("_", "-")
            where = f"lesionlab {command.__name__}"
            raise ignored_option(option, value=given[name], because=because, where=where)
