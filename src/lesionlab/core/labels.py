"""What the stored values of a mask mean."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Integer, Shaped

from lesionlab.core.errors import LabelError
from lesionlab.core.names import check_name


def is_one_of(label: Shaped[np.ndarray, "*space"], values: frozenset[int]) -> Bool[np.ndarray, "*space"]:
    """Return where a label map has one of a few values; np.isin sorts and copies, which takes many times as long."""
    found = np.zeros_like(label, dtype=bool)
    for value in values:
        found |= label == value
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Regions as sets of stored values.

    Attributes:
        regions: Region name -> the stored values that belong to it; regions may overlap (WT contains TC).
        ignored: Stored values that neither loss nor metric may count ("other pathology" in WMH 2017).
        lesion_above: Where the files store a lesion as 255, as a grey value or with noise: every number above this is
            read as 1, every other as 0. None reads whole numbers as they are.
    """

    regions: dict[str, frozenset[int]]
    ignored: frozenset[int] = frozenset()
    lesion_above: float | None = None

    def __post_init__(self) -> None:
        """Refuse regions whose masks would be written elsewhere.

        Raises:
            UnsafeNameError: A region's name cannot be part of a file's name.
        """
        for region in self.regions:
            check_name(region, what="a region", where="the names of regions")

    @property
    def names(self) -> tuple[str, ...]:
        """Region names in their declared order, which is the order of a network's outputs."""
        return tuple(self.regions)

    @property
    def values(self) -> frozenset[int]:
        """Every stored value that is declared, background (0) included."""
        return frozenset({0}).union(self.ignored, *self.regions.values())

    def by_value(self) -> "Labels":
        """Return the same labels with every stored value of a region as a region of its own, named by the value."""
        values = sorted(frozenset().union(*self.regions.values()))
        return replace(self, regions={str(value): frozenset({value}) for value in values})

    def check(self, label: Integer[np.ndarray, "*space"], *, where: Path) -> None:
        """Refuse values that nobody declared.

        Raises:
            LabelError: `label` holds a value that is neither background, region nor ignored.
        """
        marked = label.T[label.T != 0]  # few; sorting every voxel takes many times as long
        unknown = sorted(set(np.unique(marked).tolist()) - self.values)
        if unknown:
            raise LabelError(
                f"label values among {sorted(self.values)}",
                found=f"also {unknown[:8]}",
                where=where,
                next_step="correct the mask, or choose the layout whose labels these are (lesionlab list layouts)",
            )

    def regions_of(self, label: Integer[np.ndarray, "*space"]) -> Bool[np.ndarray, "region *space"]:
        """Return one mask per region, in the order of `names`; ignored voxels are False in all."""
        return np.stack([is_one_of(label, values) for values in self.regions.values()])

    def ignored_of(self, label: Integer[np.ndarray, "*space"]) -> Bool[np.ndarray, "*space"]:
        """Return the mask of voxels that must not count."""
        return is_one_of(label, self.ignored)


LESION = Labels(regions={"lesion": frozenset({1})})
"""The commonest meaning: 0 is background, 1 is lesion."""
