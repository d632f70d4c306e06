"""A plain augmentation for slices and volumes alike."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8
from pydantic import NonNegativeFloat

from lesionlab.core.augmentation import augmentation
from lesionlab.core.numbers import Fraction


@augmentation("flips_and_intensity")
@dataclass(frozen=True, slots=True, kw_only=True)
class FlipsAndIntensity:
    """Reverse axes, and change contrast, brightness and noise of each modality.

    Attributes:
        flip: Odds of reversing each axis.
        intensity: Odds of a linear change of each modality.
        scale: Largest change of its factor, either way.
        shift: Largest change of its offset, either way, in standard deviations of the foreground.
        noise: Largest standard deviation of Gaussian noise, in the same unit; 0 adds none.
    """

    flip: Fraction = 0.5
    intensity: Fraction = 0.5
    scale: NonNegativeFloat = 0.2
    shift: NonNegativeFloat = 0.2
    noise: NonNegativeFloat = 0.1

    def __call__(
        self,
        image: Float32[np.ndarray, "modality *space"],
        label: UInt8[np.ndarray, "*space"],
        *,
        generator: np.random.Generator,
    ) -> tuple[Float32[np.ndarray, "modality *space"], UInt8[np.ndarray, "*space"]]:
        """Draw parameters for this sample and apply them; geometry alike to all modalities and the label."""
        axes = tuple(axis for axis in range(label.ndim) if generator.random() < self.flip)
        image, label = np.flip(image, tuple(axis + 1 for axis in axes)), np.flip(label, axes)
        changed = np.stack([self._change(part, generator) for part in image])
        return changed, label.copy()

    def _change(
        self, part: Float32[np.ndarray, "*space"], generator: np.random.Generator
    ) -> Float32[np.ndarray, "*space"]:
        if generator.random() >= self.intensity:
            return part
        factor = np.float32(1 + generator.uniform(-self.scale, self.scale))
        offset = np.float32(generator.uniform(-self.shift, self.shift))
        deviation = np.float32(generator.uniform(0, self.noise))
        noise = generator.standard_normal(part.shape, dtype=np.float32)
        return part * factor + offset + noise * deviation
