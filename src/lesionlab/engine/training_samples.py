"""The samples that a plan trains on: slices for a 2-D network, patches for a 3-D one, volumes for a classifier."""

from collections.abc import Sequence

from lesionlab.core.augmentation import augmentation
from lesionlab.core.labels import Labels
from lesionlab.core.network import network
from lesionlab.core.plan import Plan
from lesionlab.core.recipe import Sampling
from lesionlab.engine.patches import PatchSampler, patch_playlist
from lesionlab.engine.sampling import SliceSampler, index_slices, slice_playlist
from lesionlab.engine.store import StoredCase
from lesionlab.engine.whole_volumes import VolumeSampler


def make_sampler(plan: Plan, cases: Sequence[StoredCase]) -> SliceSampler | PatchSampler | VolumeSampler:
    """Return the plan's whole training as one list of samples."""
    recipe = plan.recipe
    augment = augmentation.build(recipe.augmentation.name, **recipe.augmentation.options)
    is_mirrored = bool(getattr(network.get(recipe.network.name), "sees_mirror", False))
    if recipe.task == "classify":
        return VolumeSampler(cases, plan, augmentation=augment, is_mirrored=is_mirrored)
    kind = SliceSampler if len(recipe.sampling.size) == 2 else PatchSampler
    return kind(
        cases,
        plan.targets,
        settings=recipe.sampling,
        augmentation=augment,
        seed=recipe.training.seed,
        is_mirrored=is_mirrored,
    )


def samples_per_epoch(cases: Sequence[StoredCase], labels: Labels, *, settings: Sampling) -> int:
    """Return the length of the playlist that one epoch goes through."""
    if len(settings.size) == 3:
        return len(patch_playlist(len(cases), settings, seed=0))
    return len(slice_playlist(index_slices(cases, labels), settings, seed=0))
