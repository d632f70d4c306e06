"""One file per pre-training objective; importing this package registers them all."""

from lesionlab.pretext.contrast import Contrast
from lesionlab.pretext.inpainting import Inpainting
from lesionlab.pretext.rotation import Rotation
from lesionlab.pretext.symmetry import Symmetry

__all__ = ["Contrast", "Inpainting", "Rotation", "Symmetry"]
