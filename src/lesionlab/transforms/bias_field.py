"""Uneven brightness that a receiver coil leaves in MRI, estimated by N4 and divided out."""

from types import ModuleType

import numpy as np
from jaxtyping import Bool, Float32

_COARSEST = 4
"""N4 looks at every fourth voxel: the field is smooth, and the whole volume takes sixty times as long."""

_FEWEST_VOXELS = 16
"""An axis keeps at least as many, so that the field's splines have something to hold on to."""


def without_bias_field(
    image: Float32[np.ndarray, "x y z"],
    foreground: Bool[np.ndarray, "x y z"],
    *,
    spacing_mm: tuple[float, float, float],
) -> Float32[np.ndarray, "x y z"]:
    """Divide an image by the smooth field that explains its uneven brightness best.

    An image without positive voxels in the foreground, or of a single row, stays as it is. It runs on one thread, so
    that the result does not depend on the machine.

    Args:
        image: As read; the field multiplies what is there.
        foreground: What the field is estimated from.
        spacing_mm: Between voxels.

    Source: Tustison et al. 2010, IEEE TMI 29(6), doi:10.1109/TMI.2010.2046908, as implemented by ITK.
    """
    import SimpleITK  # takes a second, and only N4 needs it

    itk: ModuleType = SimpleITK
    is_thick = [size > 1 for size in image.shape]
    usable = (foreground & (image > 0)).squeeze()
    if usable.ndim < 2 or not usable.any():
        return image
    volume, mask = (itk.GetImageFromArray(one.T) for one in (image.squeeze(), usable.astype(np.uint8)))
    for one in (volume, mask):
        one.SetSpacing([mm for mm, is_used in zip(spacing_mm, is_thick, strict=True) if is_used])
    steps = [max(1, min(_COARSEST, size // _FEWEST_VOXELS)) for size in volume.GetSize()]
    corrector = itk.N4BiasFieldCorrectionImageFilter()
    corrector.SetNumberOfThreads(1)
    corrector.Execute(itk.Shrink(volume, steps), itk.Shrink(mask, steps))
    field = itk.GetArrayFromImage(corrector.GetLogBiasFieldAsImage(volume)).T.reshape(image.shape)
    corrected: Float32[np.ndarray, "x y z"] = image / np.exp(field).astype(np.float32)
    return corrected
