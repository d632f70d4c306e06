import math

import pytest

from lesionlab.core.report import Rules, Summary
from lesionlab.pages.official_figures import pair_legacy

RULES = [
    Rules(name="paper", title="The paper", citation="", is_legacy=True),
    Rules(name="official", title="Official", citation="", is_legacy=False),
]


def summary(protocol: str, metric: str, *, region: str = "lesion", unit: str = "1", mean: float = 0.5) -> Summary:
    return Summary(
        protocol=protocol,
        region=region,
        metric=metric,
        unit=unit,
        is_higher_better=True,
        n=3,
        n_defined=3,
        mean=mean,
        sd=0.1,
        median=mean,
        low=0.4,
        high=0.6,
    )


def test_figures_of_one_thing_stand_beside_each_other_whatever_they_are_called() -> None:
    legacy, official = summary("paper", "dsc", mean=0.9), summary("official", "dice", region="wmh", mean=0.7)
    (figure,) = pair_legacy([legacy, official, summary("official", "hd95_mm", region="wmh")], RULES)
    assert (figure.title, figure.legacy, figure.official) == ("The paper", legacy, (official,))
    assert figure.difference == pytest.approx(0.2)


def test_voxels_are_not_subtracted_from_millimetres() -> None:
    figures = [summary("paper", "hd95_voxels", unit="voxel"), summary("official", "hd95_mm", unit="mm")]
    (figure,) = pair_legacy(figures, RULES)
    assert figure.official == (figures[1],)
    assert math.isnan(figure.difference)


def test_of_several_regions_the_same_is_taken() -> None:
    figures = [
        summary(protocol, "dice", region=region) for protocol in ("paper", "official") for region in ("WT", "ET")
    ]
    assert [figure.official[0].region for figure in pair_legacy(figures, RULES)] == ["WT", "ET"]


def test_a_figure_without_counterpart_stands_alone() -> None:
    (figure,) = pair_legacy([summary("paper", "best_threshold"), summary("official", "dice")], RULES)
    assert figure.official == ()
    assert math.isnan(figure.difference)
