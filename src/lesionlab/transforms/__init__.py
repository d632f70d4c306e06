"""Preprocessing and augmentation of arrays."""
