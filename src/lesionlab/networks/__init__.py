"""One file per published network; importing this package registers them all."""

from lesionlab.networks.atlas_resunet import AtlasResUNet
from lesionlab.networks.atlas_segnet import AtlasSegNet
from lesionlab.networks.atlas_unet import AtlasUNet
from lesionlab.networks.attention_unet import AttentionUNet
from lesionlab.networks.dyn_unet import DynUNet
from lesionlab.networks.hetero_med_seg import HeteroMedSeg
from lesionlab.networks.mednext import MedNeXt, MedNeXt2d
from lesionlab.networks.res_unet import ResUNet
from lesionlab.networks.saca_swin import SacaSwin
from lesionlab.networks.saca_swin_classifier import SacaSwinClassifier
from lesionlab.networks.sg_net import SGNet
from lesionlab.networks.swin_classifier import SwinClassifier
from lesionlab.networks.swin_unetr import SwinUNETR
from lesionlab.networks.synapse_net import SynapseNet
from lesionlab.networks.unet import UNet

__all__ = [
    "AtlasResUNet",
    "AtlasSegNet",
    "AtlasUNet",
    "AttentionUNet",
    "DynUNet",
    "HeteroMedSeg",
    "MedNeXt",
    "MedNeXt2d",
    "ResUNet",
    "SGNet",
    "SacaSwin",
    "SacaSwinClassifier",
    "SwinClassifier",
    "SwinUNETR",
    "SynapseNet",
    "UNet",
]
