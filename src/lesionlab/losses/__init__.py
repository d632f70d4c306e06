"""One file per loss; importing this package registers them all."""

from lesionlab.losses.boundary import Boundary
from lesionlab.losses.focal import Focal
from lesionlab.losses.focal_tversky import FocalTversky
from lesionlab.losses.multiclass_dice import MulticlassDice
from lesionlab.losses.synapse_net_binary import SynapseNetBinary
from lesionlab.losses.synapse_net_multiclass import SynapseNetMulticlass
from lesionlab.losses.tversky import Tversky

__all__ = [
    "Boundary",
    "Focal",
    "FocalTversky",
    "MulticlassDice",
    "SynapseNetBinary",
    "SynapseNetMulticlass",
    "Tversky",
]
