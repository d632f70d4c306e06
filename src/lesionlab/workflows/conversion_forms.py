"""Where a converted case's files go, and what describes them: a contract, and the numbering of masks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from lesionlab.core.case import Case, Modality
from lesionlab.core.labels import Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbering:
    """Consecutive stored values: one for each combination of regions that a voxel may lie in.

    Regions keep their extent; two stored values that belong to the same regions become one.

    Attributes:
        regions: Region name -> new values; the largest set first, and a region in another after it.
        ignored: The new value of what must not count, higher than all others, or None.
    """

    regions: dict[str, tuple[int, ...]]
    ignored: int | None

    @classmethod
    def of(cls, labels: Labels) -> "Numbering":
        """Number the combinations of regions: fewer regions first, then in the order of the regions."""
        names = labels.names
        combined = {
            value: tuple(position for position, name in enumerate(names) if value in labels.regions[name])
            for value in sorted(labels.values - labels.ignored - {0})
        }
        order = sorted(set(combined.values()), key=lambda regions: (len(regions), regions))
        number = {regions: position + 1 for position, regions in enumerate(order)}
        of_regions = {
            name: tuple(number[regions] for regions in order if position in regions)
            for position, name in enumerate(names)
        }
        return cls(
            regions=dict(sorted(of_regions.items(), key=lambda pair: -len(pair[1]))),
            ignored=len(order) + 1 if labels.ignored else None,
        )

    @property
    def labels(self) -> Labels:
        """What the new values mean."""
        return Labels(
            regions={name: frozenset(values) for name, values in self.regions.items()},
            ignored=frozenset() if self.ignored is None else frozenset({self.ignored}),
        )

    @property
    def are_exclusive(self) -> bool:
        """Whether every region has one value of its own."""
        numbers = [number for values in self.regions.values() for number in values]
        return len(numbers) == len(self.regions) == len(set(numbers))

    def painted(self, region: str) -> int:
        """Return the value of a region's voxels that lie in no region but it and those that contain it."""
        own = set(self.regions[region])
        return self.labels.value_for([name for name, values in self.regions.items() if own <= set(values)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The dataset that is converted.

    Attributes:
        modalities: In its own order.
        numbering: Of its masks.
        citation: Its paper or address as it states it, or empty.
        licence: As it states it, or empty.
    """

    modalities: tuple[Modality, ...]
    numbering: Numbering
    citation: str
    licence: str


@runtime_checkable
class Form(Protocol):
    """A form that datasets are converted to; all paths are relative to the new folder.

    Attributes:
        layout: The layout that reads it.
        shares_grid: Whether all images of a case must be there and lie on one grid.
    """

    layout: str
    shares_grid: bool

    def check(self, cases: Sequence[Case]) -> None:
        """Refuse cases that the form has no names for, before anything is written."""
        ...

    def image_file(self, case: Case, modality: Modality) -> Path:
        """Return where an image goes."""
        ...

    def label_file(self, case: Case) -> Path:
        """Return where the mask goes."""
        ...

    def brain_file(self, case: Case) -> Path | None:
        """Return where the mask of the brain goes; None where the form has no place for it."""
        ...

    def descriptions(self, cases: Sequence[Case], origin: Origin) -> dict[Path, str]:
        """Return the text files that describe the whole dataset."""
        ...
