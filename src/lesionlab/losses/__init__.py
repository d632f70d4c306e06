"""One file per loss; importing this package registers them all."""

from lesionlab.losses.blob import Blob
from lesionlab.losses.boundary import Boundary
from lesionlab.losses.class_cross_entropy import ClassCrossEntropy
from lesionlab.losses.class_focal import ClassFocal
from lesionlab.losses.cross_entropy import CrossEntropy
from lesionlab.losses.dice import Dice
from lesionlab.losses.dice_cross_entropy import DiceCrossEntropy
from lesionlab.losses.focal import Focal
from lesionlab.losses.focal_tversky import FocalTversky
from lesionlab.losses.synapse_net_binary import SynapseNetBinary
from lesionlab.losses.synapse_net_multiclass import SynapseNetMulticlass
from lesionlab.losses.tversky import Tversky

__all__ = [
    "Blob",
    "Boundary",
    "ClassCrossEntropy",
    "ClassFocal",
    "CrossEntropy",
    "Dice",
    "DiceCrossEntropy",
    "Focal",
    "FocalTversky",
    "SynapseNetBinary",
    "SynapseNetMulticlass",
    "Tversky",
]
