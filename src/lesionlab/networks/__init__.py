"""One file per published network; importing this package registers them all."""

from lesionlab.networks.sg_net import SGNet
from lesionlab.networks.synapse_net import SynapseNet

__all__ = ["SGNet", "SynapseNet"]
