"""Preprocessing and augmentation of arrays; importing this package registers every augmentation."""

from lesionlab.transforms import synapse_net_augmentation

__all__ = ["synapse_net_augmentation"]
