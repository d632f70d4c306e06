"""Preprocessing and augmentation of arrays; importing this package registers every augmentation."""

from lesionlab.transforms.flips_and_intensity import FlipsAndIntensity as FlipsAndIntensity
from lesionlab.transforms.spatial_and_intensity import SpatialAndIntensity as SpatialAndIntensity
from lesionlab.transforms.synapse_net_augmentation import SynapseNetAugmentation as SynapseNetAugmentation
