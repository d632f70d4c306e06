"""How one challenge scores a case: its metrics, label handling and empty-case rules, exactly."""

import logging
import typing
from typing import ClassVar, Final, TypeAlias

import numpy as np
from jaxtyping import Shaped

from lesionlab.core.errors import LabelError
from lesionlab.core.labels import Labels
from lesionlab.core.metric import Score, Spacing
from lesionlab.core.registry import Registry

logger = logging.getLogger(__name__)

LabelMap: TypeAlias = Shaped[np.ndarray, "x y z"]
"""Stored label values or probabilities; bool, integer or float."""


@typing.runtime_checkable
class Protocol(typing.Protocol):
    """The scoring rules of one challenge or paper.

    A protocol whose regions are those of the data set takes them as the constructor's option ``labels``.

    Attributes:
        title: What a reader calls it.
        citation: Where the rules were published, with the commit of the official code.
        is_legacy: Whether these rules are kept only to reproduce published numbers.
        reads: The stored values that the rules know. Ignored ones are those that they handle in their own way. With
            `lesion_above` the rules take any number. None where they take the values that the data set declares.
    """

    title: ClassVar[str]
    citation: ClassVar[str]
    is_legacy: ClassVar[bool]
    reads: ClassVar[Labels | None]

    def score(self, predicted: LabelMap, reference: LabelMap, *, spacing_mm: Spacing) -> tuple[Score, ...]:
        """Score one case.

        Args:
            predicted: Label map or mask.
            reference: Label map with the dataset's own stored values, ignored ones included.
            spacing_mm: Distance between neighbouring voxels along each array axis.
        """
        ...


protocol: Registry[Protocol] = Registry("protocol")

ANY_LESION: Final = Labels(regions={"lesion": frozenset({1})}, lesion_above=0.5)
"""What rules read that take every number from 0.5 on for lesion, of whatever region."""


def known_values(rules: Protocol, labels: Labels, *, name: str) -> dict[int, int]:
    """Return how a protocol stores what each value of a dataset means: its values by region.

    Regions are matched by their names, capitals aside, or where each has the very values that the protocol gives to
    one of its own. A protocol of a single region takes the single region of a dataset, whatever its name, and the union
    of several where it takes any number; one of several regions takes it as the region around others (the whole
    tumour), and a warning says which of its regions then are absent in every case. A region that the dataset lacks may
    lie within others or apart from them, but not around them. Ignored values become 0 unless the protocol has a rule
    for some.

    Args:
        rules: The protocol.
        labels: Of the dataset.
        name: Of the protocol.

    Raises:
        LabelError: The dataset declares other regions, or the same ones in a way that the values cannot express.
    """
    known = rules.reads
    if known is None:
        return {value: value for value in labels.values}
    matched = _matched_regions(labels, known)
    meant = {
        value: frozenset(matched[region] for region in labels.regions_at(value) if region in matched)
        for value in labels.values - labels.ignored
    }
    values = {value: known.value_for(regions) for value, regions in meant.items()}
    is_expressed = all(known.regions_at(values[value]) & {*matched.values()} == meant[value] for value in values)
    if not (is_expressed and _is_whole(known, {*matched.values()}, values={*values.values(), 0})):
        raise LabelError(
            f"masks with the regions of {name}: {_described(known)}",
            found=_described(labels),
            where=f"protocol {name}",
            next_step="choose another protocol (lesionlab list protocols), or name the regions so where the data set "
            "says what its stored values mean (docs/layouts.md)",
        )
    _warn_of_absent(known, {*matched.values()}, name=name)
    return values | dict.fromkeys(labels.ignored, min(known.ignored, default=0))


def _matched_regions(labels: Labels, known: Labels) -> dict[str, str]:
    """Return the dataset's regions that a protocol knows, and its names of them."""
    if len(known.regions) == 1 and (len(labels.regions) == 1 or known.lesion_above is not None):
        return dict.fromkeys(labels.regions, known.names[0])
    by_name = {name.casefold(): name for name in known.names}
    matched = {name: by_name[name.casefold()] for name in labels.regions if name.casefold() in by_name}
    if matched:
        return matched
    if len(labels.regions) == 1 and (around := _around_others(known)):
        return {labels.names[0]: around}
    by_values = {values: name for name, values in known.regions.items()}
    is_equal = {*labels.regions.values()} == set(by_values)
    return {name: by_values[values] for name, values in labels.regions.items()} if is_equal else {}


def _around_others(known: Labels) -> str:
    """Return the one region that others lie within and that lies within none; empty where that is not just one."""
    regions = known.regions.items()
    around = [
        name
        for name, values in regions
        if any(values > other for _, other in regions) and not any(values < other for _, other in regions)
    ]
    return around[0] if len(around) == 1 else ""


def _warn_of_absent(known: Labels, regions: set[str], *, name: str) -> None:
    absent = [region for region in known.names if region not in regions]
    if absent:
        logger.warning(
            "protocol %s: the data set has no %s; both masks count as empty there, so its scores say nothing",
            name,
            ", ".join(absent),
        )


def _is_whole(known: Labels, regions: set[str], *, values: set[int]) -> bool:
    """Return whether nothing that a protocol scores is missing around the regions that a dataset has."""
    if values == known.values - known.ignored:
        return True
    lacking = known.regions.keys() - regions
    return bool(regions) and not any(
        known.regions[name] > known.regions[region] for name in lacking for region in regions
    )


def _described(labels: Labels) -> str:
    return ", ".join(f"{name} {sorted(values)}" for name, values in labels.regions.items()) or "no region"
