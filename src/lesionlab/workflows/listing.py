"""What lesionlab has of each kind, by name."""

import importlib
import inspect
from typing import Any

from lesionlab.core.recipe import read_recipe, recipe_names
from lesionlab.core.registry import Registry

_HOMES = {
    "networks": ("lesionlab.networks", "lesionlab.core.network", "network"),
    "losses": ("lesionlab.losses", "lesionlab.core.loss", "loss"),
    "layouts": ("lesionlab.layouts", "lesionlab.core.layout", "layout"),
    "metrics": ("lesionlab.metrics", "lesionlab.core.metric", "metric"),
    "protocols": ("lesionlab.protocols", "lesionlab.core.protocol", "protocol"),
}
"""Kind -> the package that registers its members, the home of the registry and its name there."""


def list_registered(kind: str) -> list[tuple[str, str]]:
    """Return name and first line of description of everything of one kind, in alphabetical order."""
    if kind == "recipes":
        return [(name, read_recipe(name).description) for name in recipe_names()]
    package, home, attribute = _HOMES[kind]
    importlib.import_module(package)
    registry: Registry[Any] = getattr(importlib.import_module(home), attribute)
    return [(name, (inspect.getdoc(registry.get(name)) or "").partition("\n")[0]) for name in registry]
