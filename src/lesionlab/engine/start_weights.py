"""Weights that a training starts from instead of random ones, as far as they fit."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lesionlab.core.content_key import content_key
from lesionlab.core.errors import CheckpointError, OptionError
from lesionlab.core.registry import nearest_name
from lesionlab.engine.published_weights import ReadsPublished, coverage_of, read_weights

logger = logging.getLogger(__name__)


def start_from(module: nn.Module, sources: Sequence[str]) -> None:
    """Put weights into a fresh network, one source after the other; what does not fit stays as it is.

    Weights for another number of input channels or of regions are inflated: the mean over the old ones goes to each
    of the new ones, scaled so that an input which is equal in all channels gives what it gave before.

    Args:
        module: The network.
        sources: Each "KIND:FILE". KIND is "own" for weights under our names (those of a checkpoint), "published" for
            those of the network's authors, or a source that the network knows (hetero_med_seg: vssd, biformer).

    Raises:
        OptionError: No such kind for this network.
        CheckpointError: A file cannot be read, or nothing in it fits.
    """
    for source in sources:
        kind, file = _parts(source)
        weights = _renamed(module, read_weights(file), kind=kind)
        fitted = _fitted(module, weights)
        coverage = coverage_of(module, {**weights, **fitted})
        logger.info("starting from %s: %s", kind, coverage)
        if not coverage.loaded:
            raise CheckpointError(
                "weights that fit at least a part of the network", found=str(coverage), where=file,
                next_step="check that file, kind and network belong together",
            )  # fmt: skip
        module.load_state_dict({key: fitted[key] for key in coverage.loaded}, strict=False)


def started_from(sources: Sequence[str]) -> tuple[str, ...]:
    """Return "KIND:KEY" of each source, where KEY stands for the bytes of its file; for the plan."""
    parts = (_parts(source) for source in sources)
    return tuple(f"{kind}:{content_key([file], settings=None)}" for kind, file in parts)


def _parts(source: str) -> tuple[str, Path]:
    kind, _, file = source.partition(":")
    return kind, Path(file)


def _renamed(module: nn.Module, weights: Mapping[str, Tensor], *, kind: str) -> dict[str, Tensor]:
    readers: dict[str, Any] = {"own": dict, **getattr(module, "starts", {})}
    if isinstance(module, ReadsPublished):
        readers["published"] = lambda found: module.read_published(found)[1]
    if kind not in readers:
        raise OptionError(
            "KIND:FILE with a kind of weights that this network can start from",
            found=repr(kind),
            where="--start-from",
            next_step=nearest_name(kind, readers),
        )
    renamed: dict[str, Tensor] = readers[kind](weights)
    return renamed


def _fitted(module: nn.Module, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights that the network has names for, inflated where it has other channels."""
    transposed = (nn.ConvTranspose2d, nn.ConvTranspose3d)  # their inputs are axis 0, everybody else's axis 1
    reversed_names = {f"{name}.weight" for name, part in module.named_modules() if isinstance(part, transposed)}
    wanted = module.state_dict()
    return {
        name: _inflated(weight, wanted[name].shape, input_axis=0 if name in reversed_names else 1)
        for name, weight in weights.items()
        if name in wanted
    }


def _inflated(weight: Tensor, shape: torch.Size, *, input_axis: int) -> Tensor:
    """Return the weight for another number of inputs or outputs, else as it is."""
    differing = [axis for axis, (have, want) in enumerate(zip(weight.shape, shape, strict=False)) if have != want]
    if weight.dim() != len(shape) or len(differing) != 1 or differing[0] > 1:
        return weight
    axis = differing[0]
    is_input = axis == input_axis and weight.dim() > 1
    scale = weight.shape[axis] / shape[axis] if is_input else 1.0
    return weight.mean(dim=axis, keepdim=True).expand(shape) * scale
