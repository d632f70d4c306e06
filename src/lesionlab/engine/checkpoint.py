"""Checkpoints: a folder of weights, plan, post-processing and provenance. Nothing else reads or writes weights.

weights.safetensors   the network's parameters and buffers
plan.json             everything that training, tuning and prediction must agree on
postprocessing.json   threshold and smallest lesion
provenance.json       versions, machine and step
training.safetensors  optimiser state, where training can go on from here

A checkpoint is written into a folder beside its final one and renamed, so that a kill at any moment leaves the new
or the old one, whole.
"""

import contextlib
import json
import os
import platform
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError
from torch import Tensor

from lesionlab.core.errors import CheckpointError
from lesionlab.core.json_files import JsonFile
from lesionlab.core.network import network
from lesionlab.core.plan import Plan, parse_plan
from lesionlab.core.postprocessing import Postprocessing
from lesionlab.core.pretraining import PretrainingPlan, parse_pretraining_plan
from lesionlab.core.storage import write_bytes_atomically, write_text_atomically

_WEIGHTS, _PLAN, _POSTPROCESSING, _PROVENANCE, _TRAINING = (
    "weights.safetensors",
    "plan.json",
    "postprocessing.json",
    "provenance.json",
    "training.safetensors",
)

_WANTED, _NEXT_STEP = "a sound checkpoint", "copy it again, or train again"

Part = TypeVar("Part", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a checkpoint's folder says, weights not yet loaded.

    Attributes:
        folder: Where it lies.
        plan: What it was trained for.
        postprocessing: As tuned, or the default.
        provenance: Versions, machine and progress of its training.
    """

    folder: Path
    plan: Plan
    postprocessing: Postprocessing
    provenance: dict[str, Any]

    @property
    def training(self) -> Path:
        """Folder of the training that it is of: its own where it does not lie in one."""
        return training_of(self.folder)

    def check_modalities(self, available: Collection[str], *, where: str) -> None:
        """Refuse data that lack a modality of the plan; after modality dropout only those that lack all.

        Raises:
            CheckpointError: At least one is missing from `available`.
        """
        wanted = self.plan.recipe.modalities
        if self.plan.recipe.training.modality_dropout > 0 and set(wanted) & set(available):
            return
        if not set(wanted) <= set(available):
            raise CheckpointError(
                f"the {len(wanted)} modalities {', '.join(wanted)} that this checkpoint was trained with",
                found=", ".join(available),
                where=where,
                next_step="add the missing modality, or use a checkpoint for those that you have",
            )

    def load_network(self) -> torch.nn.Module:
        """Build the network of the plan and load the weights into it, in evaluation mode.

        Raises:
            CheckpointError: The weights are damaged or do not fit the plan.
        """
        built = build_planned_network(self.plan)
        weights = _read_tensors(self.folder / _WEIGHTS)
        try:
            built.load_state_dict(weights)
        except RuntimeError as error:
            first_line = str(error).splitlines()[-1].strip()
            raise _damaged(self.folder / _WEIGHTS, first_line) from error
        return built.eval()

    def load_training_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the optimiser's tensors by name, and the plain numbers beside them.

        Raises:
            CheckpointError: The checkpoint holds none, or a damaged one.
        """
        return _read_tensors(self.folder / _TRAINING), dict(self.provenance["training"])


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainingCheckpoint:
    """What the folder of a pre-trained encoder says, weights not yet loaded.

    Attributes:
        folder: Where it lies.
        plan: What it was pre-trained for.
        progress: Plain numbers about its pre-training.
    """

    folder: Path
    plan: PretrainingPlan
    progress: dict[str, Any]

    def load_weights(self) -> dict[str, Tensor]:
        """Return weights of encoder, symmetry attention and heads by name.

        Raises:
            CheckpointError: They are damaged.
        """
        return _read_tensors(self.folder / _WEIGHTS)

    def load_optimiser(self) -> dict[str, Tensor]:
        """Return the optimiser's tensors by name.

        Raises:
            CheckpointError: The checkpoint holds none, or damaged ones.
        """
        return _read_tensors(self.folder / _TRAINING)


def open_pretraining(folder: Path) -> PretrainingCheckpoint:
    """Read the folder of a pre-trained encoder, or the best one of a pre-training's folder.

    Raises:
        CheckpointError: There is none, or it is damaged, from another version, or that of a training.
    """
    folder = _find(folder)
    plan = parse_pretraining_plan(_read_bytes(folder / _PLAN), where=str(folder / _PLAN))
    progress = _part(_Provenance).read(folder / _PROVENANCE).training
    return PretrainingCheckpoint(folder=folder, plan=plan, progress=progress)


def holds_pretraining(folder: Path) -> bool:
    """Return whether the checkpoint in `folder` is that of a pre-training.

    Raises:
        CheckpointError: Its plan cannot be read.
    """
    return _part(_AnyPlan).read(folder / _PLAN).recipe.get("task") == "pretrain"


def build_planned_network(plan: Plan) -> torch.nn.Module:
    """Build the network of a plan with fresh weights."""
    choice = plan.recipe.network
    sizes = {"modalities": plan.recipe.channels, "regions": plan.outputs}
    return network.build(choice.name, **sizes, **choice.options)


def open_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint's folder, or the best one of a training's folder.

    Nothing on disk is changed, so that a checkpoint may be opened while a training writes the next one.

    Raises:
        CheckpointError: There is none, or it is damaged or from another version.
    """
    folder = _find(folder)
    return Checkpoint(
        folder=folder,
        plan=parse_plan(_read_bytes(folder / _PLAN), where=str(folder / _PLAN)),
        postprocessing=_part(Postprocessing).read(folder / _POSTPROCESSING),
        provenance=_part(_Provenance).read(folder / _PROVENANCE).model_dump(),
    )


def save_checkpoint(
    folder: Path,
    weights: Mapping[str, Tensor],
    *,
    plan: Plan | PretrainingPlan,
    training_state: Mapping[str, Tensor] | None,
    progress: Mapping[str, Any],
) -> None:
    """Write a whole checkpoint, then put it in the place of the one in `folder`.

    Args:
        folder: Its final place.
        weights: The network's state.
        plan: What it is trained for.
        training_state: The optimiser's tensors; None for a checkpoint that training does not go on from.
        progress: Plain numbers about the training, its step among them.

    Raises:
        StorageError: It could not be written whole; the checkpoint in `folder` is as it was.
    """
    fresh, _ = _neighbours(folder)
    _remove(fresh)
    try:
        _write_tensors(fresh / _WEIGHTS, weights)
        if training_state is not None:
            _write_tensors(fresh / _TRAINING, training_state)
        write_text_atomically(fresh / _PLAN, plan.model_dump_json(indent=1))
        write_text_atomically(fresh / _POSTPROCESSING, Postprocessing().model_dump_json(indent=1))
        write_text_atomically(fresh / _PROVENANCE, json.dumps(_provenance(progress), indent=1))
        _exchange(folder)
    finally:
        _remove(fresh)


def save_postprocessing(checkpoint: Checkpoint, postprocessing: Postprocessing) -> None:
    """Write the tuned choice into the checkpoint.

    Raises:
        StorageError: It could not be written; the earlier choice stays.
    """
    write_text_atomically(checkpoint.folder / _POSTPROCESSING, postprocessing.model_dump_json(indent=1))


def training_of(checkpoint: Path) -> Path:
    """Return the folder of the training that a checkpoint's folder lies in, else the checkpoint's own."""
    return checkpoint.parent if checkpoint.name in ("best", "last") else checkpoint


def recover(folder: Path) -> None:
    """Tidy up after a kill: put the old checkpoint back when the new one did not take its place, drop remains."""
    fresh, old = _neighbours(folder)
    if old.exists() and not folder.exists():
        old.rename(folder)
    _remove(fresh)
    _remove(old)


def _find(folder: Path) -> Path:
    """Return the first of the places where the checkpoint may be; a kill can leave the only one beside its place."""
    for place in (folder, folder / "best"):
        for candidate in (place, _neighbours(place)[1]):
            if (candidate / _WEIGHTS).exists():
                return candidate
    if (folder / "last" / _WEIGHTS).exists():
        raise CheckpointError(
            "the best weights of a training",
            found="none, as no validation has been done yet",
            where=folder,
            next_step=f"go on with the training, or give {folder / 'last'}",
        )
    raise CheckpointError(
        "a checkpoint, or the folder of a training",
        found="none",
        where=folder,
        next_step="give the folder that lesionlab train wrote",
    )


def _exchange(folder: Path) -> None:
    fresh, old = _neighbours(folder)
    _remove(old)
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    _remove(old)


def _neighbours(folder: Path) -> tuple[Path, Path]:
    return folder.parent / f".{folder.name}.new", folder.parent / f".{folder.name}.old"


def _remove(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        shutil.rmtree(folder)


def _write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes_atomically(path, safetensors.torch.save(contiguous))


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(os.fspath(path))
    except (SafetensorError, OSError) as error:
        raise _damaged(path, str(error)) from error


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from error


class _Provenance(BaseModel):
    """What else it holds is for people to read."""

    model_config = ConfigDict(extra="allow")

    training: dict[str, Any]


class _AnyPlan(BaseModel):
    """A plan of a training or of a pre-training, of any version."""

    recipe: dict[str, Any]


def _part(kind: type[Part]) -> JsonFile[Part]:
    """Return how a JSON file of a checkpoint is read."""
    return JsonFile(schema=kind, error=CheckpointError, wanted=_WANTED, next_step=_NEXT_STEP)


def _damaged(where: Path, found: str) -> CheckpointError:
    return CheckpointError(_WANTED, found=found, where=where, next_step=_NEXT_STEP)


def _provenance(progress: Mapping[str, Any]) -> dict[str, Any]:
    packages = ("lesionlab", "torch", "numpy", "nibabel", "scipy")
    return {
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "machine": {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()},
        "training": dict(progress),
    }
