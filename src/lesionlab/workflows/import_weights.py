"""Make a checkpoint of weights that others published."""

from dataclasses import asdict, dataclass
from pathlib import Path

import lesionlab.layouts
import lesionlab.losses
import lesionlab.transforms  # noqa: F401  # these three register what a recipe may name
from lesionlab.core.errors import CheckpointError, LayoutError, RecipeError
from lesionlab.core.folder_lock import lock_folder
from lesionlab.core.labels import Labels
from lesionlab.core.layout import layout
from lesionlab.core.plan import Fingerprint, Plan, outputs
from lesionlab.core.recipe import Choice, Recipe, read_recipe
from lesionlab.engine.checkpoint import save_checkpoint, training_of
from lesionlab.engine.planning import complete
from lesionlab.engine.published_weights import LEAST_LOADED, Coverage, Imported, import_published
from lesionlab.engine.training_state import Progress
from lesionlab.layouts.opening import open_layout


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedCheckpoint:
    """What an import left behind.

    Attributes:
        folder: Of the checkpoint; predict takes it.
        coverage: Which weights were loaded and which were not.
    """

    folder: Path
    coverage: Coverage


def import_checkpoint(file: Path, out: Path, *, network: str, recipe: str, layout_name: str) -> ImportedCheckpoint:
    """Write a checkpoint that predicts with published weights.

    Args:
        file: A .safetensors, .pt or .pth file of tensors; nothing in it is ever executed.
        out: Folder of the checkpoint.
        network: Registered name of the network that the weights are of.
        recipe: How scans are prepared and windows slide; its network's options give way to those of the weights.
        layout_name: What the network's regions mean: those of this layout's masks. A layout whose folder tells them
            is given as LAYOUT:FOLDER.

    Raises:
        CheckpointError: The file cannot be used, or fits neither network, recipe nor layout.
        LesionlabError: No such network, recipe or layout.
        FolderInUseError: Another command is writing into the folder, or the training that it lies in.
    """
    with lock_folder(training_of(out)):
        return _import_checkpoint(file, out, network=network, recipe=recipe, layout_name=layout_name)


def _import_checkpoint(file: Path, out: Path, *, network: str, recipe: str, layout_name: str) -> ImportedCheckpoint:
    labels = _labels_of(layout_name)
    chosen = read_recipe(recipe)
    if chosen.network.name != network:
        raise RecipeError(
            f"a recipe for {network}",
            found=f"one for {chosen.network.name}",
            where=f"recipe {recipe}",
            next_step="choose another (lesionlab list recipes)",
        )
    if not chosen.sampling.size:
        raise RecipeError(
            "the size of windows", found="none", where=f"recipe {recipe}", next_step="give sampling.size in the recipe"
        )
    imported = import_published(file, network, defaults=chosen.network.options, options={})
    _check_sizes(imported, chosen, regions=outputs(chosen, labels), where=file)
    own = {name: value for name, value in imported.options.items() if name not in ("modalities", "regions")}
    fitted = chosen.model_copy(update={"network": Choice(name=network, options=own)})
    plan = Plan(
        recipe=complete(fitted, labels),
        regions={name: tuple(sorted(values)) for name, values in labels.regions.items()},
        ignored=tuple(sorted(labels.ignored)),
        layout=layout_name,
        training_cases=(),
        validation_cases=(),
        fingerprint=_UNKNOWN,
        steps_per_epoch=0,
        total_steps=0,
        validate_every=0,
    )
    progress = asdict(Progress(is_finished=True))
    save_checkpoint(out, imported.module.state_dict(), plan=plan, training_state=None, progress=progress)
    return ImportedCheckpoint(folder=out, coverage=imported.coverage)


_UNKNOWN = Fingerprint(
    cases=0,
    median_shape=(0.0, 0.0, 0.0),
    median_spacing_mm=(0.0, 0.0, 0.0),
    slices=0,
    lesion_slices=0,
    median_lesion_volume_ml=0.0,
)
"""Nothing is known of the scans that published weights were trained on."""


def _labels_of(layout_name: str) -> Labels:
    if ":" in layout_name:
        return open_layout(layout_name)[1].labels
    labels = getattr(layout.get(layout_name), "labels", None)
    if not isinstance(labels, Labels):
        raise LayoutError(
            "a layout whose masks always mean the same",
            found=f"{layout_name}, whose folder tells what they mean",
            where="--layout",
            next_step=f"give {layout_name}:FOLDER",
        )
    return labels


def _check_sizes(imported: Imported, recipe: Recipe, *, regions: int, where: Path) -> None:
    if imported.coverage.fraction < LEAST_LOADED:
        raise CheckpointError(
            "the weights of a whole network, which can predict",
            found=f"those of its encoder: {imported.coverage}",
            where=where,
            next_step=f"train from them: lesionlab train ... --start-from published:{where}",
        )
    wanted = (len(recipe.modalities), regions)
    found = (imported.options["modalities"], imported.options["regions"])
    if found != wanted:
        raise CheckpointError(
            f"weights for {wanted[0]} modalities and {wanted[1]} regions, as recipe and layout say",
            found=f"weights for {found[0]} and {found[1]}",
            where=where,
            next_step="choose the recipe and layout that belong to these weights",
        )
