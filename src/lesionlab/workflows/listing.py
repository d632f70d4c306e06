"""What lesionlab has of each kind, by name."""

import importlib
import inspect
import re
from dataclasses import dataclass
from typing import Any, cast

from lesionlab.core.pretraining import read_pretraining_recipe
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


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFacts:
    """What a reader wants to know of a network before choosing it.

    Attributes:
        name: As registered.
        axes: 2 for axial slices, 3 for volumes.
        parameters: With its default options, for two modalities and one region.
        arithmetic: Of one forward pass with default options; see `lesionlab.engine.arithmetic`. Empty where the
            docstring does not say.
        source: Paper and code, as its docstring has them.
        published: The result that its authors reported, by rules of their own; empty where there is none.
    """

    name: str
    axes: int
    parameters: int
    arithmetic: str
    source: str
    published: str


def list_networks() -> list[NetworkFacts]:
    """Return the facts of every registered network, in alphabetical order; none is given memory for its weights."""
    import torch

    import lesionlab.networks  # noqa: F401  # registers them
    from lesionlab.core.network import Network, network

    facts = []
    for name in network:
        with torch.device("meta"):
            module = network.build(name, modalities=2, regions=1)
        docstring = inspect.getdoc(type(module)) or ""
        facts.append(
            NetworkFacts(
                name=name,
                axes=cast(Network, module).spatial_dims,
                parameters=sum(part.numel() for part in module.parameters()),
                arithmetic=_told(docstring, "Arithmetic").rstrip("."),
                source=_told(docstring, "Source"),
                published=_told(docstring, "Published").rstrip("."),
            )
        )
    return facts


def _told(docstring: str, about: str) -> str:
    """Return what follows "Source:" or "Published:" up to the next of such words or an empty line."""
    _, _, after = docstring.partition(f"{about}: ")
    return " ".join(re.split(r"\n\n|\n(?:Differs|Arithmetic|Published|Args|Source):", after)[0].split())


def list_registered(kind: str) -> list[tuple[str, str]]:
    """Return name and first line of description of everything of one kind, in alphabetical order."""
    if kind == "recipes":
        pretraining = [(name, read_pretraining_recipe(name).description) for name in recipe_names(for_pretraining=True)]
        return [*((name, read_recipe(name).description) for name in recipe_names()), *pretraining]
    package, home, attribute = _HOMES[kind]
    importlib.import_module(package)
    registry: Registry[Any] = getattr(importlib.import_module(home), attribute)
    return [(name, (inspect.getdoc(registry.get(name)) or "").partition("\n")[0]) for name in registry]
