"""Weights that the authors of a network published, brought into ours."""

import logging
import pickle
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy._core import multiarray
from safetensors.torch import load_file
from torch import Tensor, nn

import lesionlab.networks  # noqa: F401 - registers the networks
from lesionlab.core.errors import CheckpointError, OptionError
from lesionlab.core.network import network as networks

LEAST_LOADED = 0.9
"""Part of a network's weights, or of its encoder's where that is useful alone, below which an import is refused."""

_NESTED = ("state_dict", "model_state_dict", "network_weights", "model")
"""Keys under which training scripts keep the weights among other things."""

_WRAPPERS = ("module.", "_orig_mod.", "backbone.")
"""What stands before some names or all: torch's own wrappers, and sa-swin's."""

_OWNERS = ("model.", "_model.", "net.", "network.")
"""What stands before all names or none: the attribute of the trainer that holds the network."""

_NO_PARAMETERS = re.compile(
    r"(^|\.)(running_mean|running_var|num_batches_tracked|relative_position_index|attn_mask|total_ops|total_params)$"
)
"""Names of what is not learnt: statistics, tables of places, and what counters of operations leave."""

_PLAIN_NUMPY: list[Any] = [
    np.dtype,
    np.ndarray,
    *(
        (part, f"numpy.{core}.multiarray.{part.__name__}")
        for core in ("core", "_core")  # as NumPy 1 and 2 call it
        for part in (multiarray.scalar, multiarray._reconstruct)
    ),
    *(type(np.dtype(code)) for code in "?bhilqBHILQefd"),
]
"""What a number or an array of NumPy is made of in a file; none of it can run a program."""

_log = logging.getLogger(__name__)


@runtime_checkable
class ReadsPublished(Protocol):
    """A network class whose published weights can be imported."""

    def read_published(self, weights: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return the options that the weights fit, and the weights under this network's names."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How far some weights fit a network; batch counters, which play no part in evaluation, are left out.

    Attributes:
        loaded: Names that both have, in one shape.
        missing: Names that only the network has.
        unexpected: Names that only the weights have.
        mismatched: Names that both have, in different shapes.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[str, ...]

    @property
    def fraction(self) -> float:
        """Part of the network's tensors that are loaded, 0 to 1."""
        return self.fraction_of("")

    @property
    def surplus(self) -> tuple[str, ...]:
        """Names among the unexpected of what was learnt; statistics and tables of places left out."""
        return tuple(name for name in self.unexpected if not _NO_PARAMETERS.search(name))

    def fraction_of(self, prefix: str) -> float:
        """Return the part of the network's tensors under a prefix that are loaded, 0 to 1."""
        loaded, others = (
            sum(name.startswith(prefix) for name in names) for names in (self.loaded, self.missing + self.mismatched)
        )
        return loaded / max(1, loaded + others)

    def __str__(self) -> str:
        """Return one line with the four counts and the first name of each kind that did not load."""
        counts = [f"{len(self.loaded)} loaded ({self.fraction:.1%})"]
        for kind in ("missing", "unexpected", "mismatched"):
            names = getattr(self, kind)
            counts.append(f"{len(names)} {kind}" + (f" (first: {names[0]})" if names else ""))
        return ", ".join(counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A network with published weights in it.

    Attributes:
        module: In evaluation mode, on the CPU.
        coverage: How far the weights fitted.
        options: Of the network, as read off the weights and overridden.
    """

    module: nn.Module
    coverage: Coverage
    options: dict[str, Any]


def import_weights(file_or_state_dict: Path | Mapping[str, Any], *, network: str, **options: Any) -> nn.Module:
    """Build the network that published weights fit, and load them.

    The configuration is read off the weights' shapes; the arithmetic is the published one unless `options` says
    otherwise (``mode="corrected"``). How much was loaded is logged in one line; `coverage_of` tells it in full.

    Args:
        file_or_state_dict: A .safetensors file, a .pt, .pth, .ckpt or .pth.tar file that holds tensors and plain data
            only, or what such a file holds. The weights may lie under "state_dict", "model_state_dict",
            "network_weights" or "model", and their names may start with "module." or "backbone.", or all of them with
            "model.", "_model.", "net." or "network.".
        network: The registered name of the network.
        options: Options of the network that override what its weights tell.

    Returns:
        The network in evaluation mode, on the CPU.

    Raises:
        CheckpointError: The file is unreadable, holds code, fills less than 90 % of the network's weights (for a
            network with an `encoder_prefix`: of the weights under it), or has parameters that the network has not.
        NameUnknownError: No network has this name.
        OptionError: The network takes no such option, or nobody published weights for it.
    """
    return import_published(file_or_state_dict, network, defaults={}, options=options).module


def import_published(
    file_or_state_dict: Path | Mapping[str, Any],
    network: str,
    *,
    defaults: Mapping[str, Any],
    options: Mapping[str, Any],
) -> Imported:
    """Do what `import_weights` does, and also return what was inferred and how much was loaded.

    Args:
        file_or_state_dict: As `import_weights`.
        network: As `import_weights`.
        defaults: Options of the network that give way to what its weights tell.
        options: Options that override it.

    Raises:
        CheckpointError, NameUnknownError, OptionError: As `import_weights`.
    """
    if isinstance(file_or_state_dict, Path):
        where, found = str(file_or_state_dict), read_weights(file_or_state_dict)
    else:
        where, found = "the given weights", _flat(file_or_state_dict, "the given weights")
    inferred, weights = reader_of(network).read_published(found)
    chosen = {**defaults, **inferred, **options}
    if "regions" not in chosen:
        raise CheckpointError(
            f"weights of {network} with its last layer, which tells how many regions there are",
            found="those of an encoder alone, as self-supervised training leaves it",
            where=where,
            next_step=f"it cannot predict; train from it: lesionlab train ... --start-from published:{where}",
        )
    module = networks.build(network, **chosen)
    coverage = coverage_of(module, weights)
    _log.info("weights of %s: %s", network, coverage)
    encoder = getattr(module, "encoder_prefix", "")
    if coverage.fraction_of(encoder) < LEAST_LOADED:
        raise CheckpointError(
            f"weights that fill at least {LEAST_LOADED:.0%} of {network}, or of its encoder if that is useful alone",
            found=str(coverage),
            where=where,
            next_step="check that file, network and options belong together",
        )
    is_whole = coverage.fraction >= LEAST_LOADED
    _check_nothing_unexpected(coverage, network, prefix="" if is_whole else encoder, where=where)
    if not is_whole:
        _log.warning("only the encoder of %s was found; the rest starts at random and must be trained", network)
    module.load_state_dict({name: weights[name] for name in coverage.loaded}, strict=False)
    return Imported(module=module.eval(), coverage=coverage, options=chosen)


def _check_nothing_unexpected(coverage: Coverage, network: str, *, prefix: str, where: str) -> None:
    """Refuse weights with parameters that the network has no place for: they are of a network that computes more."""
    surplus = [name for name in coverage.surplus if name.startswith(prefix)]
    if surplus:
        raise CheckpointError(
            f"weights of {network} alone",
            found=f"also {len(surplus)} parameters that it does not have ({', '.join(surplus[:3])}); {coverage}",
            where=where,
            next_step="give the option of the network that adds these parts, import them as the network that they are "
            "of, or take them out if they play no part in prediction (the state of a loss, say)",
        )


def coverage_of(module: nn.Module, weights: Mapping[str, Tensor]) -> Coverage:
    """Compare weights that carry the network's own names with the network."""
    wanted, found = (
        {name: tuple(weight.shape) for name, weight in tensors.items() if not name.endswith("num_batches_tracked")}
        for tensors in (module.state_dict(), weights)
    )
    shared = [name for name in wanted if name in found]
    return Coverage(
        loaded=tuple(name for name in shared if wanted[name] == found[name]),
        missing=tuple(name for name in wanted if name not in found),
        unexpected=tuple(name for name in found if name not in wanted),
        mismatched=tuple(name for name in shared if wanted[name] != found[name]),
    )


def read_weights(file: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by the names they have in it; never runs code that the file may hold.

    Raises:
        CheckpointError: The file is unreadable, holds code, or holds no tensors.
    """
    return _flat(_read(file), file)


def reader_of(name: str) -> ReadsPublished:
    """Return the class of a network whose published weights can be read.

    Raises:
        NameUnknownError: No network has this name.
        OptionError: Nobody published weights for it.
    """
    maker = networks.get(name)
    if isinstance(maker, ReadsPublished):
        return maker
    readable = [known for known in networks if isinstance(networks.get(known), ReadsPublished)]
    raise OptionError(
        "a network with published weights",
        found=repr(name),
        where=f"network = {name!r}",
        next_step=f"choose one of {', '.join(readable)}",
    )


def _read(file: Path) -> Mapping[str, Any]:
    """Read a file of weights; never runs code that the file may hold."""
    reader = next((reader for ending, reader in _READERS.items() if file.name.lower().endswith(ending)), None)
    if reader is None:
        raise CheckpointError(
            f"a file that ends in {', '.join(_READERS)}",
            found=repr(file.suffix) if file.is_file() else "no such file",
            where=file,
            next_step="save the weights as safetensors",
        )
    try:
        return reader(file)
    except Exception as error:  # a damaged file makes torch's reader raise whatever it meets: IndexError, KeyError, ...
        raise CheckpointError(
            "a sound file of tensors and plain data",
            found=_reason(error),
            where=file,
            next_step="fetch the file again, or have its author save the state_dict alone as safetensors",
        ) from error


def _reason(error: Exception) -> str:
    """Return why a file did not read; torch's advice to trust the file is not passed on."""
    if isinstance(error, pickle.UnpicklingError):
        known = re.search(r"GLOBAL (\S+)", str(error))
        return (
            f"{known[1]}, which is neither tensor nor plain data" if known else "a damaged file, or one with a program"
        )
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _load_plain(file: Path) -> Mapping[str, Any]:
    with torch.serialization.safe_globals(_PLAIN_NUMPY):
        content = torch.load(file, map_location="cpu", weights_only=True)
    if not isinstance(content, Mapping):
        raise ValueError(f"a {type(content).__name__}, no mapping from names to tensors")
    return content


_READERS: dict[str, Callable[[Path], Mapping[str, Any]]] = {
    ".safetensors": load_file,
    **dict.fromkeys((".pt", ".pth", ".ckpt", ".pth.tar"), _load_plain),
}
"""Ending of a file, and what reads it."""


def _flat(content: Mapping[str, Any], where: str | Path) -> dict[str, Tensor]:
    """Return the tensors by name, taken out of the wrappings that training scripts put around them.

    Raises:
        CheckpointError: There is none, or they are those of nnU-Net.
    """
    if "network_weights" in content and {"trainer_name", "init_args"} & set(content):
        raise CheckpointError(
            "weights of a network of lesionlab",
            found=f"a checkpoint of nnU-Net ({content.get('trainer_name', 'trainer unknown')}), whose network its own "
            "plans build",
            where=where,
            next_step="it cannot be imported: predict with nnU-Net, and score its masks here (lesionlab evaluate)",
        )
    while nested := next((key for key in _NESTED if isinstance(content.get(key), Mapping)), None):
        content = content[nested]
    weights = {_bare(str(name)): weight for name, weight in content.items() if isinstance(weight, Tensor)}
    if weights:
        return _without_owner(weights)
    raise CheckpointError(
        f"tensors by name, at the top or under {', '.join(map(repr, _NESTED))}",
        found=f"the keys {list(content)[:8]}",
        where=where,
        next_step="save the network's state_dict",
    )


def _bare(name: str) -> str:
    for wrapper in _WRAPPERS:
        name = name.removeprefix(wrapper)
    return name


def _without_owner(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights by their names without what stands before all of them."""
    for prefix in (*_OWNERS, *_WRAPPERS):
        if all(name.startswith(prefix) for name in weights):
            return _without_owner({name.removeprefix(prefix): weight for name, weight in weights.items()})
    return dict(weights)
