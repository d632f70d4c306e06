"""One resampling for rotation, scaling, shear, translation and elastic deformation together, of slices and volumes."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

Border: TypeAlias = Literal["nearest", "mirror"]

_PADDING = {"nearest": "border", "mirror": "reflection"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Warp:
    """Where every voxel of the result is looked up.

    Attributes:
        matrix: From a voxel's place relative to the block's centre to the place it is looked up at, in voxels.
        offset: Added to that, in voxels.
        displacement: Further offsets in voxels on a coarse lattice that spans the block, or None.
    """

    matrix: Float[np.ndarray, "axis axis"]
    offset: Float[np.ndarray, "axis"]
    displacement: Float32[np.ndarray, "axis *lattice"] | None = None


def turn_matrix(
    angles_degrees: tuple[float, ...], *, magnification: Float[np.ndarray, "axis"], shears: Float[np.ndarray, "axis"]
) -> Float[np.ndarray, "axis axis"]:
    """Return the matrix that looks up a turned, sheared and magnified block.

    Args:
        angles_degrees: One angle, in the plane of the first two axes; of volumes also in the planes of the first and
            third and of the second and third axis.
        magnification: Along each axis; 2 shows everything twice as large.
        shears: How far each axis moves per voxel of the next one.
    """
    axes = len(magnification)
    matrix = np.diag(1 / magnification)
    for (first, second), degrees in zip(((0, 1), (0, 2), (1, 2)), angles_degrees, strict=False):
        angle, turn = np.deg2rad(degrees), np.eye(axes)
        turn[[first, second], [first, second]] = np.cos(angle)
        turn[first, second], turn[second, first] = np.sin(angle), -np.sin(angle)
        matrix = matrix @ turn
    sheared = np.eye(axes)
    for axis in range(axes):
        sheared[axis, (axis + 1) % axes] = shears[axis]
    return matrix @ sheared


def look_up(
    warp: Warp, image: Float32[np.ndarray, "modality *space"], *, label: UInt8[np.ndarray, "*space"], border: Border
) -> tuple[Float32[np.ndarray, "modality *space"], UInt8[np.ndarray, "*space"]]:
    """Interpolate images linearly and labels to the nearest, in one pass over one lattice of places.

    Args:
        warp: See there.
        image: Block of two or three axes.
        label: On the same voxels.
        border: What images show beyond their border; labels show nothing there.
    """
    places = _places(warp, label.shape)
    moved = F.grid_sample(_batch(image), places, mode="bilinear", padding_mode=_PADDING[border], align_corners=True)
    kept = F.grid_sample(
        _batch(label[None].astype(np.float32)), places, mode="nearest", padding_mode="zeros", align_corners=True
    )
    return moved[0].numpy(), kept[0, 0].numpy().astype(np.uint8)


def _batch(array: Float32[np.ndarray, "channel *space"]) -> Float32[Tensor, "1 channel *space"]:
    return torch.from_numpy(np.ascontiguousarray(array))[None]


def _places(warp: Warp, shape: tuple[int, ...]) -> Float32[Tensor, "1 *space axis"]:
    """Return places from -1 to 1 along each axis, the last axis first, as torch wants them."""
    half = np.maximum((np.array(shape, dtype=np.float64) - 1) / 2, 0.5)
    linear = warp.matrix * half[None, :] / half[:, None]
    theta = np.concatenate([linear[::-1, ::-1], (warp.offset / half)[::-1, None]], axis=1)
    places = F.affine_grid(torch.from_numpy(theta.astype(np.float32))[None], [1, 1, *shape], align_corners=True)
    if warp.displacement is None:
        return places
    scaled = (warp.displacement / half.reshape(-1, *[1] * len(shape))).astype(np.float32)
    mode = "bilinear" if len(shape) == 2 else "trilinear"
    fine = F.interpolate(_batch(scaled[::-1]), size=shape, mode=mode, align_corners=True)
    return places + fine.movedim(1, -1)
