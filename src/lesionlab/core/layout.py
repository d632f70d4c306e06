"""A dataset's folder as its authors laid it out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

from lesionlab.core.case import Case, Modality
from lesionlab.core.labels import Labels
from lesionlab.core.registry import Registry


@runtime_checkable
class Layout(Protocol):
    """Reads one dataset's folder structure; loads no voxel.

    Attributes:
        folder: Where the dataset lies.
        modalities: The modalities that every complete case has, in the dataset's own order.
        labels: What the stored values of its masks mean.
        citation: As ``lesionlab.toml`` in the folder states it; else paper or address of the dataset or form that the
            layout was written for, which the folder's content may have nothing to do with.
    """

    folder: Path
    modalities: tuple[Modality, ...]
    labels: Labels
    citation: str

    def cases(self) -> Iterator[Case]:
        """Yield every case in the order of its id.

        Raises:
            LayoutError: The folder holds no case of this layout, or a case lacks a modality.
        """
        ...


layout: Registry[Layout] = Registry("layout")
