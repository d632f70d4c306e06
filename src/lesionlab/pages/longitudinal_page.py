"""The page of what became of the lesions between visits."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lesionlab.metrics.longitudinal import CHANGES, Change, ChangeLimits, FollowedLesion
from lesionlab.pages.offline_page import render_page


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitPair:
    """The lesions of one patient, region and side between two visits.

    Attributes:
        patient: Whose.
        earlier: The earlier case's id.
        later: The later case's id.
        side: "predicted" or "reference".
        region: Of which region.
        lesions: Each; empty when both masks are.
    """

    patient: str
    earlier: str
    later: str
    side: str
    region: str
    lesions: tuple[FollowedLesion, ...]

    @property
    def earlier_ml(self) -> float:
        """Volume of all lesions at the earlier visit."""
        return math.fsum(lesion.earlier_mm3 for lesion in self.lesions) / 1000

    @property
    def later_ml(self) -> float:
        """Volume of all lesions at the later visit."""
        return math.fsum(lesion.later_mm3 for lesion in self.lesions) / 1000

    def count(self, change: Change) -> int:
        """Return how many lesions changed like this."""
        return sum(lesion.change == change for lesion in self.lesions)

    def change_ml(self, change: Change) -> float:
        """Return the later minus the earlier volume of those lesions."""
        own = [lesion for lesion in self.lesions if lesion.change == change]
        return math.fsum(lesion.later_mm3 - lesion.earlier_mm3 for lesion in own) / 1000


def render_longitudinal(
    pairs: Sequence[VisitPair], *, limits: ChangeLimits, provenance: Mapping[str, str], title: str
) -> str:
    """Return the page.

    Args:
        pairs: Every two visits, region and side, at least one.
        limits: From when on a change counted.
        provenance: Software and versions.
        title: Heading.
    """
    facts = {
        "title": title,
        "notice": "",
        "pairs": pairs,
        "patients": {pair.patient for pair in pairs},
        "changes": CHANGES,
        "totals": [_total(pairs, side) for side in ("predicted", "reference")],
        "limits": limits,
        "provenance": provenance,
    }
    return render_page("longitudinal_page.html", facts)


def _total(pairs: Sequence[VisitPair], side: str) -> VisitPair:
    """All lesions of one side as if they were one patient's."""
    lesions = tuple(lesion for pair in pairs if pair.side == side for lesion in pair.lesions)
    return VisitPair(patient="all", earlier="", later="", side=side, region="", lesions=lesions)
