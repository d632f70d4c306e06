"""Whether the options of a recipe's network fit together and its samples: found out before cases are prepared."""

import logging
from collections.abc import Callable
from typing import Any, cast

import torch

from lesionlab.core.errors import LesionlabError, NameUnknownError, OptionError, RecipeError
from lesionlab.core.network import Network, network
from lesionlab.core.pretraining import PretrainingRecipe
from lesionlab.core.recipe import Recipe
from lesionlab.engine.patch_size import STRIDE, sized
from lesionlab.engine.pretraining_network import build_pretraining_network

logger = logging.getLogger(__name__)

MISFITS = (ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError, ValueError)
"""What a network raises for options, each valid by itself, that do not go together, or for samples it cannot take."""


def check_network_fits(recipe: Recipe, *, outputs: int) -> None:
    """Build the network of a recipe without numbers and show it two samples, which costs neither memory nor time.

    A recipe that leaves the size of samples to the plan is judged with two of the network's strides along every axis.

    Args:
        recipe: With all options completed.
        outputs: Channels of logits.

    Raises:
        RecipeError: The options of the network do not fit together, or not the samples.
    """
    kind = cast("type[Network]", network.get(recipe.network.name))
    tried = recipe
    if not recipe.sampling.size:
        tried = sized(recipe, (2 * int(getattr(kind, "stride", STRIDE)),) * kind.spatial_dims)

    def show_samples() -> None:
        options = tried.network.options
        built = network.build(tried.network.name, modalities=recipe.channels, regions=outputs, **options)
        channels = recipe.channels * (2 if getattr(built, "sees_mirror", False) else 1)
        built.train()(torch.zeros(2, channels, *tried.sampling.size))

    size = recipe.sampling.size
    _check(show_samples, recipe.network.name, recipe=recipe.name, size=size, key="sampling.size")


def check_encoder_fits(recipe: PretrainingRecipe) -> None:
    """Do the same with the encoder of a recipe for pre-training.

    Raises:
        NameUnknownError, OptionError: As `build_pretraining_network`.
        RecipeError: The options of the network do not fit together, or not the patches.
    """

    def show_patches() -> None:
        built = build_pretraining_network(recipe)
        built.train().look(torch.zeros(2, 2 * len(recipe.modalities), *recipe.size))

    _check(show_patches, recipe.network.name, recipe=recipe.name, size=recipe.size, key="size")


def _check(show: Callable[[], Any], name: str, *, recipe: str, size: tuple[int, ...], key: str) -> None:
    """Call a function with tensors that have shapes alone; what it draws at random does not count."""
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"), torch.inference_mode():
            show()
    except (NameUnknownError, OptionError):
        raise
    except LesionlabError as error:
        raise RecipeError(
            error.wanted,
            found=error.found,
            where=f"recipe {recipe}, keys network.options and {key}",
            next_step=error.next_step,
        ) from error
    except MISFITS as error:
        if isinstance(error, NotImplementedError) or "meta" in str(error):
            logger.debug("the network %s cannot be tried without numbers: %s", name, error)
            return
        text = " ".join(str(error).split())
        raise RecipeError(
            f"options of the network {name} that fit together"
            + (f" and samples of {'x'.join(map(str, size))}" if size else ""),
            found=f"{type(error).__name__}: {text[:300]}",
            where=f"recipe {recipe}, keys network.options and {key}",
            next_step="change one of these options, such as widths that the numbers of heads divide",
        ) from error
