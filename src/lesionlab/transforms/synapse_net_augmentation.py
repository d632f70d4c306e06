"""The augmentation that SYNAPSE-Net was published with, for slices of any signed scale."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float32, Float64, UInt8
from pydantic import NonNegativeFloat
from scipy.ndimage import gaussian_filter, map_coordinates

from lesionlab.core.augmentation import augmentation
from lesionlab.core.numbers import CountRange, Fraction, PositiveRange, SizeRange

Slice: TypeAlias = Float32[np.ndarray, "modality x y"]
Coordinates: TypeAlias = Float64[np.ndarray, "2 x y"]
Rectangle: TypeAlias = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """The parameters of one augmentation, drawn before anything is changed.

    Attributes:
        flips: Whether to reverse x and y.
        coordinates: Where each output voxel is looked up, in voxels; None leaves the geometry alone.
        gamma: Exponent on the slice's own range; 1 changes nothing.
        noise: Standard deviation of Gaussian noise as a share of the slice's range.
        noise_seed: Of that noise.
        scale: Factor of all intensities.
        shift: Added to all intensities.
        holes: Rectangles (x start, x stop, y start, y stop) to empty.
    """

    flips: tuple[bool, bool]
    coordinates: Coordinates | None
    gamma: float
    noise: float
    noise_seed: int
    scale: float
    shift: float
    holes: tuple[Rectangle, ...]


@augmentation("synapse_net")
@dataclass(frozen=True, slots=True, kw_only=True)
class SynapseNetAugmentation:
    """Flips, affine, elastic, gamma, noise, intensity and coarse dropout with the published odds and ranges (WMH).

    Source: SYNAPSE-Net, arXiv 2510.26961, commit e05116a.
    Differs: the affine and the elastic part are one interpolation, not two; the label under a hole stays, unless
    `holes_erase_label` asks for the published rule, which teaches that a hidden lesion is none; no mirror image is
    drawn beyond the border, unless `border` asks for the published one, whose mirrored lesions carry no label.

    Attributes:
        flip: Odds of reversing each in-plane axis.
        affine: Odds of rotation, scaling and translation.
        rotation_degrees: Largest rotation, either way.
        scale_range: Smallest and largest magnification.
        translation: Largest translation as a share of half the slice (named shear in the source).
        elastic: Odds of an elastic deformation.
        elastic_voxels: Factor of the smoothed displacement field.
        elastic_sigma: Of the Gaussian that smooths it, in voxels.
        gamma: Odds of a gamma curve on the slice's range.
        gamma_range: Smallest and largest exponent.
        noise: Odds of Gaussian noise.
        noise_share: Largest standard deviation as a share of the slice's range.
        intensity: Odds of a linear change of intensity.
        intensity_share: Largest change of factor and offset.
        holes: Odds of coarse dropout.
        hole_count: Fewest and most holes.
        hole_voxels: Shortest and longest side of a hole.
        holes_erase_label: Whether lesions under a hole are erased from the label.
        border: What lies beyond the slice's border when it is moved: its outermost voxels, or its mirror image.
    """

    flip: Fraction = 0.5
    affine: Fraction = 0.75
    rotation_degrees: NonNegativeFloat = 20.0
    scale_range: PositiveRange = (0.8, 1.2)
    translation: NonNegativeFloat = 0.15
    elastic: Fraction = 0.5
    elastic_voxels: NonNegativeFloat = 100.0
    elastic_sigma: NonNegativeFloat = 12.0
    gamma: Fraction = 0.5
    gamma_range: PositiveRange = (0.7, 1.5)
    noise: Fraction = 0.3
    noise_share: Fraction = 0.1
    intensity: Fraction = 0.3
    intensity_share: Fraction = 0.2
    holes: Fraction = 0.5
    hole_count: CountRange = (4, 8)
    hole_voxels: SizeRange = (10, 20)
    holes_erase_label: bool = False
    border: Literal["nearest", "mirror"] = "nearest"

    def __call__(
        self, image: Slice, label: UInt8[np.ndarray, "x y"], *, generator: np.random.Generator
    ) -> tuple[Slice, UInt8[np.ndarray, "x y"]]:
        """Draw parameters for this slice and apply them."""
        return self.apply(self.draw(label.shape, generator), image, label=label)

    def draw(self, shape: tuple[int, int], generator: np.random.Generator) -> Drawn:
        """Draw one set of parameters for slices of `shape`."""
        share = self.intensity_share if _happens(self.intensity, generator) else 0.0
        return Drawn(
            flips=(_happens(self.flip, generator), _happens(self.flip, generator)),
            coordinates=self._draw_coordinates(shape, generator),
            gamma=float(generator.uniform(*self.gamma_range)) if _happens(self.gamma, generator) else 1.0,
            noise=float(generator.uniform(0, self.noise_share)) if _happens(self.noise, generator) else 0.0,
            noise_seed=int(generator.integers(2**32)),
            scale=float(generator.uniform(1 - share, 1 + share)),
            shift=float(generator.uniform(-share, share)),
            holes=self._draw_holes(shape, generator) if _happens(self.holes, generator) else (),
        )

    def apply(
        self, drawn: Drawn, image: Slice, *, label: UInt8[np.ndarray, "x y"]
    ) -> tuple[Slice, UInt8[np.ndarray, "x y"]]:
        """Apply drawn parameters; geometry alike to all modalities and the label."""
        axes = tuple(axis for axis, is_flipped in enumerate(drawn.flips) if is_flipped)
        image, label = np.flip(image, tuple(axis + 1 for axis in axes)), np.flip(label, axes)
        if drawn.coordinates is not None:
            image, label = _look_up(image, label, coordinates=drawn.coordinates, border=self.border)
        image = _change_intensities(image, drawn)
        image, label = image.copy(), label.copy()
        for x, x_stop, y, y_stop in drawn.holes:
            image[:, x:x_stop, y:y_stop] = 0
            if self.holes_erase_label:
                label[x:x_stop, y:y_stop] = 0
        return image, label

    def _draw_coordinates(self, shape: tuple[int, int], generator: np.random.Generator) -> Coordinates | None:
        is_affine, is_elastic = generator.random(2) < (self.affine, self.elastic)
        if not (is_affine or is_elastic):
            return None
        centre = (np.array(shape, dtype=np.float64)[:, None, None] - 1) / 2
        coordinates = np.indices(shape).astype(np.float64)
        if is_elastic:
            coordinates += self._draw_displacement(shape, generator)
        if is_affine:
            matrix, offset = self._draw_affine(shape, generator)
            coordinates = np.einsum("ij,jxy->ixy", matrix, coordinates - centre - offset) + centre
        return coordinates

    def _draw_displacement(self, shape: tuple[int, int], generator: np.random.Generator) -> Coordinates:
        field = generator.uniform(-1, 1, size=(2, *shape))
        smooth = [gaussian_filter(part, self.elastic_sigma, mode="constant") for part in field]
        return np.stack(smooth) * self.elastic_voxels

    def _draw_affine(
        self, shape: tuple[int, int], generator: np.random.Generator
    ) -> tuple[Float64[np.ndarray, "2 2"], Float64[np.ndarray, "2 1 1"]]:
        angle = np.deg2rad(generator.uniform(-self.rotation_degrees, self.rotation_degrees))
        magnification = generator.uniform(*self.scale_range)
        offset = generator.uniform(-self.translation, self.translation, size=2) * (np.array(shape) // 2)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        return turn / magnification, offset[:, None, None]

    def _draw_holes(self, shape: tuple[int, int], generator: np.random.Generator) -> tuple[Rectangle, ...]:
        holes = []
        for _ in range(int(generator.integers(self.hole_count[0], self.hole_count[1] + 1))):
            sides = generator.integers(self.hole_voxels[0], self.hole_voxels[1] + 1, size=2)
            x, y = (int(generator.integers(max(1, size - side + 1))) for size, side in zip(shape, sides, strict=True))
            holes.append((x, x + int(sides[0]), y, y + int(sides[1])))
        return tuple(holes)


def _happens(odds: float, generator: np.random.Generator) -> bool:
    return bool(generator.random() < odds)


def _look_up(
    image: Slice, label: UInt8[np.ndarray, "x y"], *, coordinates: Coordinates, border: Literal["nearest", "mirror"]
) -> tuple[Slice, UInt8[np.ndarray, "x y"]]:
    """Interpolate images linearly, labels to the nearest with nothing beyond the border."""
    moved = np.stack([map_coordinates(part, coordinates, order=1, mode=border) for part in image])
    return moved, map_coordinates(label, coordinates, order=0, mode="constant", cval=0)


def _change_intensities(image: Slice, drawn: Drawn) -> Slice:
    low, high = float(image.min()), float(image.max())
    extent = high - low
    if drawn.gamma != 1.0 and extent > 0:
        image = ((image - low) / extent) ** np.float32(drawn.gamma) * np.float32(extent) + np.float32(low)
    if drawn.noise > 0:
        noise = np.random.default_rng(drawn.noise_seed).standard_normal(image.shape, dtype=np.float32)
        image = image + noise * np.float32(drawn.noise * extent)
    if drawn.scale != 1.0 or drawn.shift != 0.0:
        image = image * np.float32(drawn.scale) + np.float32(drawn.shift)
    return image
