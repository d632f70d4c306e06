import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays

from lesionlab.core.metric import Mask
from lesionlab.metrics.longitudinal import CHANGES, ChangeLimits, follow_lesions

MIRRORED = dict(zip(CHANGES, reversed(CHANGES), strict=True))
ANY = ChangeLimits(percent=25.0, mm3=0.5)


def line(text: str) -> Mask:
    """Voxels along x: # is lesion."""
    return np.array([letter == "#" for letter in text])[:, None, None]


def followed(earlier: str, later: str, *, limits: ChangeLimits = ANY) -> list[tuple[str, float, float]]:
    found = follow_lesions(line(earlier), line(later), spacing_mm=(1.0, 1.0, 1.0), limits=limits)
    return [(one.change, one.earlier_mm3, one.later_mm3) for one in found]


@pytest.mark.parametrize(
    ("earlier", "later", "expected"),
    [
        ("......", "..##..", [("new", 0, 2)]),
        ("..##..", "......", [("resolved", 2, 0)]),
        ("..##..", "..###.", [("enlarging", 2, 3)]),
        (".####.", "..#...", [("shrinking", 4, 1)]),
        ("..##..", "...##.", [("stable", 2, 2)]),
        ("......", "......", []),
        ("##..##", "##....", [("stable", 2, 2), ("resolved", 2, 0)]),
    ],
)
def test_what_became_of_a_lesion(earlier: str, later: str, expected: list[tuple[str, float, float]]) -> None:
    assert followed(earlier, later) == expected


def test_lesions_that_merge_or_split_are_followed_as_one() -> None:
    (merged,) = follow_lesions(line("##.##"), line("#####"), spacing_mm=(1.0, 1.0, 1.0), limits=ANY)
    assert (merged.change, merged.earlier_pieces, merged.later_pieces) == ("enlarging", 2, 1)
    (split,) = follow_lesions(line("#####"), line("##.##"), spacing_mm=(1.0, 1.0, 1.0), limits=ANY)
    assert (split.change, split.earlier_pieces, split.later_pieces) == ("stable", 1, 2)


def test_a_neighbour_that_shares_no_voxel_is_another_lesion() -> None:
    assert followed("##....", "..##..") == [("resolved", 2, 0), ("new", 0, 2)]


def test_both_limits_must_be_passed() -> None:
    assert followed("##......", "###.....", limits=ChangeLimits(percent=25.0, mm3=2.0))[0][0] == "stable"
    assert followed("########", "#######.", limits=ChangeLimits(percent=25.0, mm3=1.0))[0][0] == "stable"
    assert followed("........", "#.......", limits=ChangeLimits(percent=25.0, mm3=2.0))[0][0] == "stable"


def test_without_limits_equal_volumes_are_stable() -> None:
    assert followed("##...", "##...", limits=ChangeLimits(percent=0.0, mm3=0.0)) == [("stable", 2, 2)]


def test_volumes_follow_the_spacing() -> None:
    (one,) = follow_lesions(line("..#"), line(".##"), spacing_mm=(1.0, 2.0, 3.0), limits=ANY)
    assert (one.earlier_mm3, one.later_mm3) == (6, 12)


MASKS = arrays(bool, (5, 4, 3))


@given(earlier=MASKS, later=MASKS)
def test_exchanging_the_visits_mirrors_the_volumes_and_loses_nothing(earlier: Mask, later: Mask) -> None:
    limits = ChangeLimits(percent=0.0, mm3=0.5)
    forth = follow_lesions(earlier, later, spacing_mm=(1.0, 1.0, 1.0), limits=limits)
    back = follow_lesions(later, earlier, spacing_mm=(1.0, 1.0, 1.0), limits=limits)
    assert sum(one.earlier_mm3 for one in forth) == earlier.sum()
    assert sum(one.later_mm3 for one in forth) == later.sum()
    assert sorted((MIRRORED[one.change], one.later_mm3, one.earlier_mm3) for one in forth) == sorted(
        (one.change, one.earlier_mm3, one.later_mm3) for one in back
    )
