"""What every augmentation takes and gives."""

import typing

import numpy as np
from jaxtyping import Float32, UInt8

from lesionlab.core.registry import Registry


@typing.runtime_checkable
class Augmentation(typing.Protocol):
    """A random change of one training sample that its label would follow in the real world.

    All randomness comes from the generator that the caller makes for this sample, so that a sample is the same
    whatever the number of workers and wherever a training was resumed.
    """

    def __call__(
        self,
        image: Float32[np.ndarray, "modality *space"],
        label: UInt8[np.ndarray, "*space"],
        *,
        generator: np.random.Generator,
    ) -> tuple[Float32[np.ndarray, "modality *space"], UInt8[np.ndarray, "*space"]]:
        """Return the changed image and label; the inputs stay as they are."""
        ...


augmentation: Registry[Augmentation] = Registry("augmentation")
