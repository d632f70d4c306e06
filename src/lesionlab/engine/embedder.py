"""Vectors of the two sides of a head from a pre-trained encoder."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32

from lesionlab.core.case import Case, Modality
from lesionlab.core.content_key import content_key
from lesionlab.core.errors import CheckpointError
from lesionlab.core.labels import Labels
from lesionlab.engine.checkpoint import open_pretraining
from lesionlab.engine.finite import check_finite
from lesionlab.engine.memory import within_memory
from lesionlab.engine.precision import make_fabric
from lesionlab.engine.preprocess import prepare
from lesionlab.engine.pretraining_network import build_pretraining_network
from lesionlab.engine.sample import cut_block
from lesionlab.pretext.symmetry import Symmetry, likeness

_STRIDE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """What an encoder says about a whole scan.

    Attributes:
        own: Of the scan: the mean over its places.
        mirrored: Of its mirror image; exchanging left and right of the scan exchanges the two.
        similarity: Mean cosine of mirror twins, -1 to 1; exchanging left and right does not change it.
    """

    own: Float32[np.ndarray, "feature"]
    mirrored: Float32[np.ndarray, "feature"]
    similarity: float


class Embedder:
    """A pre-trained encoder with its symmetry head, on the device at hand.

    Args:
        folder: That `lesionlab pretrain` wrote.

    Attributes:
        key: Stands for its plan and weights.

    Raises:
        CheckpointError: There is none, it is damaged, or it was pre-trained without the symmetry objective.
    """

    def __init__(self, folder: Path) -> None:
        checkpoint = open_pretraining(folder)
        self._recipe = checkpoint.plan.recipe
        built = build_pretraining_network(self._recipe)
        built.load_state_dict(checkpoint.load_weights())
        if "symmetry" not in built.objectives:
            raise CheckpointError(
                "an encoder that was pre-trained with the symmetry objective",
                found=", ".join(self._recipe.objectives),
                where=checkpoint.folder,
                next_step="pre-train with cases whose category or mask is known, or embed without --checkpoint",
            )
        files = sorted(checkpoint.folder.glob("*.safetensors"))
        self.key = content_key(files, settings=checkpoint.plan.model_dump(mode="json"))
        self._device = make_fabric("float32").device
        self._network = built.eval().to(self._device)

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """What it was pre-trained with, in the order of its input."""
        return self._recipe.modalities

    def embed(self, case: Case) -> Embedding:
        """Return the vectors of a case's whole scans; what is smaller than a patch of pre-training is padded to one.

        Raises:
            PredictionError: The encoder gives numbers that are not finite, or memory is too small for the case.
            LayoutError, ImageError, GridError: As `prepare`.
        """
        unlabelled = replace(case, label=None, further_labels=())
        settings = self._recipe.preprocessing
        prepared = prepare(unlabelled, self._recipe.modalities, settings=settings, labels=Labels(regions={}))
        shape = prepared.image.shape[1:]
        least = self._recipe.size
        size = [max(usual, -(-side // _STRIDE) * _STRIDE) for usual, side in zip(least, shape, strict=True)]
        empty = np.broadcast_to(np.uint8(0), shape)
        pair, _ = cut_block(
            prepared.image, empty, start=(0, 0, 0), size=size, background=prepared.background, is_mirrored=True
        )
        head = self._network.objectives["symmetry"]
        assert isinstance(head, Symmetry)
        with within_memory(self._device, where=f"case {case.id}"), torch.inference_mode():
            image = torch.from_numpy(np.ascontiguousarray(pair))[None].to(self._device)
            own, mirrored, _ = self._network.look(image)
            vectors, twins = head.embed(own).float(), head.embed(mirrored).float()
        check_finite(torch.stack([vectors, twins]).cpu().numpy(), what="vectors", where=f"case {case.id}")
        return Embedding(
            own=vectors[0].mean(dim=0).cpu().numpy(),
            mirrored=twins[0].mean(dim=0).cpu().numpy(),
            similarity=float(likeness(vectors, twins)[0]),
        )
