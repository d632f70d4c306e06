"""Labels: what the stored values of a mask mean, and the only way from arrays to masks and back."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal, TypeAlias

import numpy as np
from jaxtyping import Bool, Int16, Integer, Shaped

from lesionlab.core.errors import LabelError
from lesionlab.core.names import check_name

LARGEST_VALUE: Final = 32767
"""Masks are kept in 16 bits with a sign."""
WHITE: Final = 255
"""How a picture stores a lesion, and what many tools write for True."""

MaskSource: TypeAlias = Literal["volume", "picture", "array"]
"""Where the numbers of a mask are from: the file of a volume, that of a picture, or an array in Python."""

_NOISE = 1e-3  # masks that were stored as scaled floats come back this close to whole numbers


def lesion_of(array: Shaped[np.ndarray, "*space"]) -> Bool[np.ndarray, "*space"]:
    """Return where a mask, or a map of probabilities, shows lesion: everything of 0.5 and more."""
    lesion: Bool[np.ndarray, "*space"] = array >= 0.5
    return lesion


def whole_numbers(array: Shaped[np.ndarray, "*space"], *, where: str | Path) -> Int16[np.ndarray, "*space"]:
    """Return the voxels of a mask as whole numbers, whatever type they are stored in.

    Raises:
        LabelError: A value is no whole number (beyond 1e-3), negative, or above 32,767.
    """
    values = _as_whole(array)
    if values is None:
        raise _not_whole(array, where=where)
    return values


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMask:
    """Region masks as one array of stored values.

    Attributes:
        values: In 8 bits where they fit, else in 16.
        inexact_voxels: Voxels whose combination of regions no stored value expresses: they read back as the nearest.
    """

    values: Integer[np.ndarray, "*space"]
    inexact_voxels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Regions as sets of stored values.

    Attributes:
        regions: Region name -> the stored values that belong to it; regions may overlap (WT contains TC).
        ignored: Stored values that neither loss nor metric may count ("other pathology" in WMH 2017).
        lesion_above: Where the files store a lesion as 255, as a grey value or with noise: every number above this is
            read as 1, every other as 0. None reads whole numbers as they are.
        colours: Where masks are coloured pictures, red, green and blue of each region, stored as its lowest value.
    """

    regions: dict[str, frozenset[int]]
    ignored: frozenset[int] = frozenset()
    lesion_above: float | None = None
    colours: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse names that lead out of a folder, values that no mask can hold, and values of two meanings.

        Raises:
            UnsafeNameError: A region's name cannot be part of a file's name.
            LabelError: A region has no value, a value is not from 1 to 32,767, or one is ignored and in a region.
        """
        for region in self.regions:
            check_name(region, what="a region", where="the names of regions")
        if problem := self._problem():
            raise LabelError(
                f"regions of stored values from 1 to {LARGEST_VALUE}, none of them ignored",
                found=problem,
                where="the meaning of the masks",
                next_step="correct regions and ignored values (docs/layouts.md)",
            )

    def _problem(self) -> str:
        """Return in a few words what is wrong with the values; empty where nothing is."""
        empty = [name for name, values in self.regions.items() if not values]
        if empty:
            return f"no value of {empty[0]}"
        declared: frozenset[int] = frozenset().union(*self.regions.values())
        outside = sorted(value for value in declared | self.ignored if not 1 <= value <= LARGEST_VALUE)
        if outside:
            return f"the value {outside[0]}"
        both = sorted(declared & self.ignored)
        return f"{both[0]} in a region and ignored" if both else ""

    @property
    def names(self) -> tuple[str, ...]:
        """Region names in their declared order, which is the order of a network's outputs."""
        return tuple(self.regions)

    @property
    def values(self) -> frozenset[int]:
        """Every stored value that is declared, background (0) included."""
        return frozenset({0}).union(self.ignored, *self.regions.values())

    @property
    def values_of_colours(self) -> dict[tuple[int, int, int], int]:
        """The stored value of each colour of `colours`; black is background unless a region has it."""
        return {(0, 0, 0): 0} | {colour: min(self.regions[region]) for region, colour in self.colours.items()}

    def by_value(self) -> "Labels":
        """Return the same labels with every stored value of a region as a region of its own, named by the value."""
        values = sorted(frozenset().union(*self.regions.values()))
        return replace(self, regions={str(value): frozenset({value}) for value in values})

    def stored_values(
        self, array: Shaped[np.ndarray, "*space"], *, where: str | Path = "the mask", source: MaskSource = "array"
    ) -> Int16[np.ndarray, "*space"]:
        """Return declared stored values, whatever numbers a mask holds.

        Whole numbers (floats within 1e-3 of them) are stored values. Where there is a single region, so is True of a
        bool array, 255 of a picture or an array that holds nothing else beside 0, and a probability of 0.5 and more of
        an array. With `lesion_above` every number is read by that; but what lies between 0 and 1, where the limit is 1
        or more, as a mask or as probabilities.

        Args:
            array: Bools, whole numbers, or floats; of any shape.
            where: Named in messages.
            source: Where the numbers are from; files of volumes hold stored values and nothing else.

        Raises:
            LabelError: A value is not finite, not whole, or declared by nobody.
        """
        values = self.as_stored(array, where=where, source=source)
        self.check(values, where=where)
        return values

    def as_stored(
        self, array: Shaped[np.ndarray, "*space"], *, where: str | Path = "the mask", source: MaskSource = "array"
    ) -> Int16[np.ndarray, "*space"]:
        """Return stored values as `stored_values` does, those that nobody declared included.

        Raises:
            LabelError: A value is not finite or not whole.
        """
        if self.lesion_above is not None:
            return self._read_by_limit(array, where=where)
        values = _as_whole(array)
        has_one_region = len(self.regions) == 1
        if values is None:
            if not (source == "array" and has_one_region and _is_up_to_one(array, where=where)):
                raise _not_whole(array, where=where)
            return self._of_single_region(lesion_of(array))
        if has_one_region and (array.dtype.kind == "b" or (source != "volume" and self._is_white_only(values))):
            return self._of_single_region(values != 0)
        return values

    def predicted_values(
        self, array: Shaped[np.ndarray, "*space"], *, where: str | Path = "the prediction", source: MaskSource = "array"
    ) -> Int16[np.ndarray, "*space"]:
        """Return declared stored values of a prediction: `lesion_above` is about the dataset's own files.

        Raises:
            LabelError: As `stored_values`.
        """
        return replace(self, lesion_above=None).stored_values(array, where=where, source=source)

    def check(self, label: Integer[np.ndarray, "*space"], *, where: str | Path) -> None:
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
                next_step="correct the mask, choose the layout whose labels these are (lesionlab list layouts), or say "
                "what the values mean (regions in the lesionlab.toml of the dataset)",
            )

    def regions_of(self, label: Shaped[np.ndarray, "*space"]) -> Bool[np.ndarray, "region *space"]:
        """Return one mask per region, in the order of `names`; ignored voxels are False in all."""
        return np.stack([_is_one_of(label, values) for values in self.regions.values()])

    def ignored_of(self, label: Shaped[np.ndarray, "*space"]) -> Bool[np.ndarray, "*space"]:
        """Return the mask of voxels that must not count."""
        return _is_one_of(label, self.ignored)

    def label_map(self, masks: Bool[np.ndarray, "region *space"], *, names: Sequence[str] | None = None) -> StoredMask:
        """Return region masks as stored values: the way back from `regions_of`.

        A voxel gets the value that belongs to every region it lies in and to as few others as possible
        (`value_for`), so that it reads back as exactly these regions wherever a value expresses them.

        Args:
            masks: One per region.
            names: Their regions, of which there may be others; None for all in the order of `names`.
        """
        names = self.names if names is None else names
        assert len(masks) == len(names), "one mask per region"
        flat = masks.reshape(len(names), -1)
        marked = np.flatnonzero(flat.any(axis=0))
        combinations, which = _combinations(flat[:, marked])
        inside = [frozenset(name for name, is_in in zip(names, row, strict=True) if is_in) for row in combinations]
        values = [self.value_for(regions) for regions in inside]
        stored = np.zeros(flat.shape[1], dtype=_smallest_type(values))
        stored[marked] = np.array(values, dtype=stored.dtype)[which]
        is_inexact = [self.regions_at(value) != regions for regions, value in zip(inside, values, strict=True)]
        inexact_voxels = int(np.count_nonzero(np.array(is_inexact, dtype=bool)[which]))
        return StoredMask(values=stored.reshape(masks.shape[1:]), inexact_voxels=inexact_voxels)

    def regions_at(self, value: int) -> frozenset[str]:
        """Return the names of the regions that a stored value belongs to; none for background and ignored ones."""
        return frozenset(name for name, values in self.regions.items() if value in values - self.ignored)

    def value_for(self, regions: Collection[str]) -> int:
        """Return the stored value of a voxel that lies in these regions and in no other; 0 for none.

        It is the value that belongs to all of them and to the fewest others; where there is no such value, the one
        with the fewest regions too many or missing. Of equals, the one that misses fewer, then the lowest.
        """
        wanted = frozenset(regions)
        if not wanted:
            return 0

        def distance(value: int) -> tuple[bool, int, int, int]:
            own = self.regions_at(value)
            missing = len(wanted - own)
            return missing > 0, missing + len(own - wanted), missing, value

        return min(self.values - self.ignored - {0}, key=distance, default=0)

    def renumbered(self, label: Integer[np.ndarray, "*space"], *, to: "Labels") -> Int16[np.ndarray, "*space"]:
        """Return declared stored values as those that other labels give to the same regions.

        Regions of other names are left out; ignored values become the lowest ignored value there, or 0.
        """
        return translate(label, {value: self._value_in(to, value) for value in self.values})

    def _value_in(self, other: "Labels", value: int) -> int:
        if value in self.ignored:
            return min(other.ignored, default=0)
        return other.value_for(self.regions_at(value) & frozenset(other.regions))

    def _read_by_limit(self, array: Shaped[np.ndarray, "*space"], *, where: str | Path) -> Int16[np.ndarray, "*space"]:
        assert self.lesion_above is not None
        if _is_up_to_one(array, where=where) and self.lesion_above >= 1:
            return lesion_of(array).astype(np.int16)
        return (array > self.lesion_above).astype(np.int16)

    def _is_white_only(self, values: Int16[np.ndarray, "*space"]) -> bool:
        """Return whether 255, which nobody declared, is the only value beside 0."""
        if WHITE in self.values or values.max(initial=0) != WHITE:
            return False
        return int(np.count_nonzero(values)) == int(np.count_nonzero(values == WHITE))

    def _of_single_region(self, mask: Bool[np.ndarray, "*space"]) -> Int16[np.ndarray, "*space"]:
        (values,) = self.regions.values()
        return np.where(mask, np.int16(min(values)), np.int16(0))


LESION = Labels(regions={"lesion": frozenset({1})})
"""The commonest meaning: 0 is background, 1 is lesion."""


def _is_one_of(label: Shaped[np.ndarray, "*space"], values: frozenset[int]) -> Bool[np.ndarray, "*space"]:
    """Return where a label map has one of a few values; np.isin sorts and copies, which takes many times as long."""
    found = np.zeros_like(label, dtype=bool)
    for value in values:
        found |= label == value
    return found


def translate(label: Integer[np.ndarray, "*space"], values: Mapping[int, int]) -> Int16[np.ndarray, "*space"]:
    """Return a label map with other values by a table; values not in the table become 0."""
    table = np.zeros(max(*values, int(label.max(initial=0)), 0) + 1, dtype=np.int16)
    for value, other in values.items():
        table[value] = other
    translated: Int16[np.ndarray, "*space"] = table[label]
    return translated


def _combinations(
    masks: Bool[np.ndarray, "region voxel"],
) -> tuple[Bool[np.ndarray, "combination region"], Integer[np.ndarray, " voxel"]]:
    """Return the combinations of regions that occur, and which of them each voxel has."""
    first, which = np.zeros(0, dtype=np.intp), np.zeros(masks.shape[1], dtype=np.int64)
    for start in range(0, len(masks), 32):  # so many at a time are numbered in one integer, which sorts quickly
        codes = which
        for mask in masks[start : start + 32]:
            codes = 2 * codes + mask
        _, first, which = np.unique(codes, return_index=True, return_inverse=True)
    return masks[:, first].T, which


def check_numbers(array: Shaped[np.ndarray, "*space"], *, where: str | Path) -> None:
    """Refuse what no mask can hold.

    Raises:
        LabelError: A value is NaN or infinite, or the array holds something else than real numbers.
    """
    if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
        raise LabelError(
            "a mask of finite numbers",
            found=f"NaN or infinite values, or no real numbers ({array.dtype})",
            where=where,
            next_step="repair or exclude this mask",
        )


def compact(label: Integer[np.ndarray, "*space"]) -> Integer[np.ndarray, "*space"]:
    """Return stored values in 8 bits where they fit, else in 16."""
    return label.astype(_smallest_type([int(label.max(initial=0))]), copy=False)


def _smallest_type(values: Collection[int]) -> type[np.uint8] | type[np.int16]:
    return np.uint8 if max(values, default=0) <= np.iinfo(np.uint8).max else np.int16


def _as_whole(array: Shaped[np.ndarray, "*space"]) -> Int16[np.ndarray, "*space"] | None:
    """Return whole numbers from 0 to 32,767; None where some are others."""
    if array.dtype.kind not in "biuf":
        return None
    low, high = array.min(initial=0), array.max(initial=0)
    if not (np.isfinite(low) and np.isfinite(high) and np.rint(low) >= 0 and np.rint(high) <= LARGEST_VALUE):
        return None
    if array.dtype.kind != "f":
        return array.astype(np.int16, copy=False)
    values = np.rint(array, out=np.empty_like(array, dtype=np.int16), casting="unsafe")
    is_whole = np.array_equal(array, values) or np.abs(array - values).max() <= _NOISE
    return values if is_whole else None


def _is_up_to_one(array: Shaped[np.ndarray, "*space"], *, where: str | Path) -> bool:
    check_numbers(array, where=where)
    return bool(array.min(initial=0) >= -_NOISE and array.max(initial=0) <= 1 + _NOISE)


def _not_whole(array: Shaped[np.ndarray, "*space"], *, where: str | Path) -> LabelError:
    check_numbers(array, where=where)
    low, high = float(array.min(initial=0)), float(array.max(initial=0))
    return LabelError(
        f"a mask of whole numbers from 0 to {LARGEST_VALUE}",
        found=f"values from {low:g} to {high:g}, some not whole or out of range",
        where=where,
        next_step="binarise or renumber the mask",
    )
