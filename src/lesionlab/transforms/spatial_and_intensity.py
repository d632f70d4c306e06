"""A whole augmentation for slices and volumes: geometry in one resampling, then intensities of each modality."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import numpy as np
from jaxtyping import Float32, UInt8
from pydantic import AfterValidator, Field, NonNegativeFloat
from scipy.ndimage import gaussian_filter

from lesionlab.core.augmentation import augmentation
from lesionlab.core.numbers import (
    CountRange,
    FloatRange,
    Fraction,
    NonNegativeInt,
    PositiveInt,
    PositiveRange,
    SizeRange,
    check_distinct,
)
from lesionlab.transforms.warp import Border, Warp, look_up, turn_matrix

Axis: TypeAlias = Literal[0, 1, 2]
PARTS = ("flip", "quarter_turn", "affine", "elastic", "blur", "noise", "gamma", "intensity", "holes")


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnGeometry:
    """The geometry of one augmentation: which axes are reversed, how often the axial plane is turned, and the warp."""

    flips: tuple[int, ...]
    quarter_turns: int
    warp: Warp | None


@augmentation("spatial_and_intensity")
@dataclass(frozen=True, slots=True, kw_only=True)
class SpatialAndIntensity:
    """Flips, quarter turns, affine, elastic, blur, noise, gamma, linear intensity and holes, by odds.

    Intensities are drawn for each modality apart. The published augmentations of SG-Net, HeteroMedSeg, SYNAPSE-Net
    for BraTS and the ATLAS study are sets of these options; see the recipes under ``published/``.

    Attributes:
        flip: Odds of reversing each axis of `flip_axes`.
        flip_axes: Which; an axis that a slice does not have is left out.
        quarter_turn: Odds of one to three quarter turns of the axial plane, where it is square.
        affine: Odds of rotation, scaling, shear and translation, together.
        rotation_degrees: Largest rotation of the axial plane, either way.
        tilt_degrees: Largest rotation of the two other planes of a volume.
        scale_range: Smallest and largest magnification.
        scale_each_axis: Whether every axis is magnified by itself.
        shear_degrees: Largest shear.
        translation: Largest translation as a share of the size of each axis.
        elastic: Odds of an elastic deformation.
        elastic_voxels: Standard deviation of its displacements.
        elastic_spacing: Voxels between the points of its lattice.
        blur: Odds of Gaussian blur.
        blur_voxels: Smallest and largest standard deviation.
        noise: Odds of Gaussian noise.
        noise_range: Smallest and largest standard deviation, in units of the normalised image.
        gamma: Odds of a gamma curve on the range of the image.
        gamma_range: Smallest and largest exponent.
        intensity: Odds of a linear change.
        factor: Largest change of the factor, either way.
        shift: Largest offset, either way, in units of the normalised image.
        holes: Odds of setting blocks to the mean of the image.
        hole_count: Fewest and most.
        hole_voxels: Shortest and longest side.
        at_most: Where above 0, the odds only say what may happen at all: of that, so many parts at most, their number
            and which ones drawn evenly.
        border: What lies beyond the border of images that are moved.
    """

    flip: Fraction = 0.5
    flip_axes: Annotated[tuple[Axis, ...], AfterValidator(check_distinct)] = (0, 1, 2)
    quarter_turn: Fraction = 0.0
    affine: Fraction = 0.3
    rotation_degrees: NonNegativeFloat = 20.0
    tilt_degrees: NonNegativeFloat = 0.0
    scale_range: PositiveRange = (0.8, 1.25)
    scale_each_axis: bool = False
    shear_degrees: Annotated[float, Field(ge=0, lt=90)] = 0.0
    translation: NonNegativeFloat = 0.0
    elastic: Fraction = 0.1
    elastic_voxels: NonNegativeFloat = 3.0
    elastic_spacing: PositiveInt = 24
    blur: Fraction = 0.1
    blur_voxels: FloatRange = (0.5, 1.0)
    noise: Fraction = 0.15
    noise_range: FloatRange = (0.0, 0.2)
    gamma: Fraction = 0.2
    gamma_range: PositiveRange = (0.7, 1.5)
    intensity: Fraction = 0.3
    factor: NonNegativeFloat = 0.2
    shift: NonNegativeFloat = 0.2
    holes: Fraction = 0.0
    hole_count: CountRange = (4, 8)
    hole_voxels: SizeRange = (8, 16)
    at_most: NonNegativeInt = 0
    border: Border = "nearest"

    def __call__(
        self,
        image: Float32[np.ndarray, "modality *space"],
        label: UInt8[np.ndarray, "*space"],
        *,
        generator: np.random.Generator,
    ) -> tuple[Float32[np.ndarray, "modality *space"], UInt8[np.ndarray, "*space"]]:
        """Draw parameters for this sample and apply them; geometry alike to all modalities and the label.

        A block one voxel thick is a slice.
        """
        if label.ndim == 3 and label.shape[-1] == 1:
            image, label = self(image[..., 0], label[..., 0], generator=generator)
            return image[..., None], label[..., None]
        odds = self._odds(generator)
        geometry = self.draw_geometry(label.shape, generator, odds=odds)
        image, label = self.apply_geometry(geometry, image, label=label)
        changed = np.stack([self._change(part, generator, odds) for part in image])
        if generator.random() < odds["holes"]:
            self._empty_holes(changed, generator)
        return changed, np.ascontiguousarray(label)

    def draw_geometry(
        self, shape: tuple[int, ...], generator: np.random.Generator, *, odds: dict[str, float]
    ) -> DrawnGeometry:
        """Draw where the voxels of blocks of `shape` come from."""
        axes = [axis for axis in self.flip_axes if axis < len(shape)]
        flips = tuple(axis for axis in axes if generator.random() < odds["flip"])
        turns = int(generator.integers(1, 4)) if generator.random() < odds["quarter_turn"] else 0
        is_affine, is_elastic = generator.random() < odds["affine"], generator.random() < odds["elastic"]
        warp = self._draw_warp(shape, generator, is_affine=is_affine, is_elastic=is_elastic)
        return DrawnGeometry(flips=flips, quarter_turns=turns if shape[0] == shape[1] else 0, warp=warp)

    def apply_geometry(
        self, drawn: DrawnGeometry, image: Float32[np.ndarray, "modality *space"], *, label: UInt8[np.ndarray, "*space"]
    ) -> tuple[Float32[np.ndarray, "modality *space"], UInt8[np.ndarray, "*space"]]:
        """Apply drawn geometry: reversed and turned views cost nothing, the warp reads them once."""
        image = np.rot90(np.flip(image, tuple(axis + 1 for axis in drawn.flips)), drawn.quarter_turns, axes=(1, 2))
        label = np.rot90(np.flip(label, drawn.flips), drawn.quarter_turns)
        if drawn.warp is None:
            return image, label
        return look_up(drawn.warp, image, label=label, border=self.border)

    def _odds(self, generator: np.random.Generator) -> dict[str, float]:
        odds = {part: float(getattr(self, part)) for part in PARTS}
        if not self.at_most:
            return odds
        possible = [part for part in PARTS if odds[part] > 0]
        count = int(generator.integers(self.at_most + 1))
        chosen = set(generator.permutation(possible)[:count].tolist())
        return {part: odds[part] if part in chosen else 0.0 for part in PARTS}

    def _draw_warp(
        self, shape: tuple[int, ...], generator: np.random.Generator, *, is_affine: bool, is_elastic: bool
    ) -> Warp | None:
        if not (is_affine or is_elastic):
            return None
        axes = len(shape)
        matrix, offset = np.eye(axes), np.zeros(axes)
        if is_affine:
            limits = [self.rotation_degrees, self.tilt_degrees, self.tilt_degrees]
            angles = tuple(float(generator.uniform(-limit, limit)) for limit in limits)
            magnification = np.exp(
                generator.uniform(math.log(self.scale_range[0]), math.log(self.scale_range[1]), size=axes)
            )
            shears = np.tan(np.deg2rad(generator.uniform(-self.shear_degrees, self.shear_degrees, size=axes)))
            if not self.scale_each_axis:
                magnification[:] = magnification[0]
            matrix = turn_matrix(angles if axes == 3 else angles[:1], magnification=magnification, shears=shears)
            offset = generator.uniform(-self.translation, self.translation, size=axes) * np.array(shape)
        if not is_elastic:
            return Warp(matrix=matrix, offset=offset)
        lattice = [max(2, round(size / self.elastic_spacing) + 1) for size in shape]
        displacement = generator.standard_normal((axes, *lattice), dtype=np.float32) * np.float32(self.elastic_voxels)
        return Warp(matrix=matrix, offset=offset, displacement=displacement)

    def _change(
        self, part: Float32[np.ndarray, "*space"], generator: np.random.Generator, odds: dict[str, float]
    ) -> Float32[np.ndarray, "*space"]:
        if generator.random() < odds["blur"]:
            part = gaussian_filter(part, generator.uniform(*self.blur_voxels), truncate=3.0)
        if generator.random() < odds["gamma"]:
            part = _with_gamma(part, float(generator.uniform(*self.gamma_range)))
        if generator.random() < odds["intensity"]:
            factor = np.float32(1 + generator.uniform(-self.factor, self.factor))
            part = part * factor + np.float32(generator.uniform(-self.shift, self.shift))
        if generator.random() < odds["noise"]:
            deviation = np.float32(generator.uniform(*self.noise_range))
            part = part + generator.standard_normal(part.shape, dtype=np.float32) * deviation
        return np.ascontiguousarray(part)

    def _empty_holes(self, image: Float32[np.ndarray, "modality *space"], generator: np.random.Generator) -> None:
        fill = image.reshape(len(image), -1).mean(axis=1)
        for _ in range(int(generator.integers(self.hole_count[0], self.hole_count[1] + 1))):
            sides = generator.integers(self.hole_voxels[0], self.hole_voxels[1] + 1, size=image.ndim - 1)
            starts = [
                int(generator.integers(max(1, size - side + 1)))
                for size, side in zip(image.shape[1:], sides, strict=True)
            ]
            block = tuple(slice(start, start + int(side)) for start, side in zip(starts, sides, strict=True))
            image[(slice(None), *block)] = fill.reshape(-1, *[1] * len(block))


def _with_gamma(part: Float32[np.ndarray, "*space"], exponent: float) -> Float32[np.ndarray, "*space"]:
    low, high = float(part.min()), float(part.max())
    if high <= low:
        return part
    extent = np.float32(high - low)
    return ((part - np.float32(low)) / extent) ** np.float32(exponent) * extent + np.float32(low)
