"""What every pre-training objective takes and gives."""

import typing
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from lesionlab.core.registry import Registry


class View(typing.NamedTuple):
    """One of two random looks at a batch, and what the network made of it.

    Attributes:
        whole: The image as turned, before parts were cut out of it: what inpainting has to restore.
        turns: Quarter turns about the left-right axis, 0 to 3.
        own: Deepest features of the image, which know nothing of the mirror image.
        mirrored: Deepest features of the mirror image; a token and its mirror twin have the same place.
        seen: Deepest features of the image after it looked at its mirror image.
        uncut: Deepest features of the whole image; None where no objective needs them.
    """

    whole: Float[Tensor, "batch modality x y z"]
    turns: Int64[Tensor, "batch"]
    own: Float[Tensor, "batch channel i j k"]
    mirrored: Float[Tensor, "batch channel i j k"]
    seen: Float[Tensor, "batch channel i j k"]
    uncut: Float[Tensor, "batch channel i j k"] | None = None


class Pretext(typing.Protocol):
    """A `torch.nn.Module` from two views of one batch to one number; it owns the head that solves its task.

    A constructor takes ``modalities`` and ``channels`` (of the deepest features) and options of its own, all by
    keyword. A class with ``needs_categories = True`` is left out where nobody said who is healthy. For an instance with
    ``needs_uncut = True`` the whole images are encoded too.
    """

    needs_categories: ClassVar[bool]

    def __call__(self, views: tuple[View, View], is_healthy: Bool[Tensor, "batch"] | None) -> Float[Tensor, ""]:
        """Return the loss of the batch; `is_healthy` is None where nobody said who is healthy."""
        ...


pretext: Registry[torch.nn.Module] = Registry("pretext")
