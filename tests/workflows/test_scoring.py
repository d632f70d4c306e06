"""Masks of a dataset are scored in the stored values that each protocol knows, matched by region, or refused."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Integer

from lesionlab.core.case import Case
from lesionlab.core.errors import GridError, LabelError
from lesionlab.core.grid import Grid
from lesionlab.core.labels import LESION, Labels
from lesionlab.core.metric import Score
from lesionlab.core.protocol import protocol
from lesionlab.engine.images import write_image
from lesionlab.workflows.case_masks import read_case_masks
from lesionlab.workflows.evaluate import score
from lesionlab.workflows.score_cases import Scoring

SPACING = (1.0, 1.5, 2.0)
FIXED = {name: rules.reads for name in protocol if (rules := protocol.build(name)).reads is not None}
"""Protocols that know certain stored values."""
Mask = Integer[np.ndarray, "x y z"]


def random_mask(values: list[int], seed: int) -> Mask:
    """Blocks of random values."""
    blocks = np.random.default_rng(seed).choice([0, 0, *values], size=(3, 3, 2))
    return np.kron(blocks, np.ones((2, 3, 3), np.int16)).astype(np.int16)


def plain(scores: list[Score]) -> list[tuple[str, str, str]]:
    return [(score.region, score.metric, repr(score.value)) for score in scores]


@pytest.mark.parametrize("name", FIXED)
@settings(max_examples=2)
@given(seed=st.integers(0, 10**6), shift=st.integers(1, 400))
def test_other_values_for_the_same_regions_score_the_same(name: str, seed: int, shift: int) -> None:
    known = FIXED[name]
    values = sorted(known.values - {0})
    masks = [random_mask(values, seed + number) for number in (0, 1)]
    official = plain(list(protocol.build(name).score(*masks, spacing_mm=SPACING)))
    assert plain([one for _, one in Scoring.alone(name).scores(*masks, spacing_mm=SPACING)]) == official
    turned = dict(zip(values, np.random.default_rng(seed).permutation(values).tolist(), strict=True))
    ours = Labels(
        regions={region: frozenset(turned[value] + shift for value in own) for region, own in known.regions.items()},
        ignored=frozenset(turned[value] + shift for value in known.ignored),
    )
    stored = [np.where(mask, np.vectorize(turned.get, otypes=[int])(mask, 0) + shift, 0) for mask in masks]
    scoring = Scoring.by([name], ours)
    assert plain([one for _, one in scoring.scores(*stored, spacing_mm=SPACING)]) == official
    named = score(stored[0], stored[1], spacing_mm=SPACING, protocol=name, labels=ours)
    assert [repr(value) for value in named.values()] == [value for _, _, value in official]


@pytest.mark.parametrize(
    "name", [name for name in protocol if not protocol.build(name).reads or not FIXED[name].ignored]
)
@settings(max_examples=2)
@given(seed=st.integers(0, 10**6), ignored=st.integers(20, 400))
def test_ignored_voxels_are_erased_from_both_masks(name: str, seed: int, ignored: int) -> None:
    known = FIXED.get(name, LESION)
    labels = Labels(regions=known.regions, ignored=frozenset({ignored}))
    values = sorted(known.values - {0})
    predicted, reference = random_mask([*values, ignored], seed), random_mask([*values, ignored], seed + 1)
    erased = np.where((predicted == ignored) | (reference == ignored), 0, predicted)
    scores = [
        plain([one for _, one in Scoring.by([name], own).scores(mask, other, spacing_mm=SPACING)])
        for own, mask, other in (
            (labels, predicted, reference),
            (Labels(regions=known.regions), erased, np.where(reference == ignored, 0, reference)),
        )
    ]
    assert scores[0] == scores[1]


def test_rules_for_other_pathology_keep_it() -> None:
    """WMH 2017 erases what was outlined in it; the published script of SYNAPSE-Net calls it lesion."""
    labels = Labels(regions={"lesion": frozenset({5})}, ignored=frozenset({7}))
    reference = random_mask([1, 2], 0)
    predicted = (random_mask([1], 1) == 1).astype(np.int16)
    renamed = np.where(reference == 1, 5, np.where(reference == 2, 7, 0))
    for name in ("wmh2017", "synapse_net_paper"):
        official = plain(list(protocol.build(name).score(predicted, reference, spacing_mm=SPACING)))
        ours = [one for _, one in Scoring.by([name], labels).scores(predicted * 5, renamed, spacing_mm=SPACING)]
        assert plain(ours) == official


def of(**regions: list[int]) -> Labels:
    return Labels(regions={name: frozenset(values) for name, values in regions.items()})


UNTIL_2021 = of(WT=[1, 2, 4], TC=[1, 4], ET=[4])


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("brats2023", UNTIL_2021),
        ("brats2024_gli", UNTIL_2021),
        ("brats2025", of(wt=[1, 2, 3], tc=[1, 3], et=[3])),
        ("brats2024_gli", of(NETC=[7], SNFH=[5], ET=[4], RC=[1])),
        ("brats2020", of(WT=[1, 2, 3], TC=[1, 3], ET=[3], RC=[4])),
        ("synapse_paper", of(**{f"part{value}": [value] for value in range(1, 9)})),
        ("isles2022", of(main=[1], sub=[2])),
        ("wmh2017", of(stroke=[3])),
        ("atlas_notebook_paper", of(main=[1], sub=[2])),
    ],
)
def test_regions_that_a_protocol_knows_are_taken(name: str, labels: Labels) -> None:
    mask = random_mask(sorted(labels.values - {0}), 3)
    for _, one in Scoring.by([name], labels).scores(mask, mask, spacing_mm=SPACING):
        assert one.metric != "dice" or one.value == 1 or one.reason, one


def test_a_single_region_is_the_one_around_others(caplog: pytest.LogCaptureFixture) -> None:
    mask = np.zeros((20, 20, 10), np.uint8)
    mask[5:12, 5:12, 3:7] = 1
    scores = [one for _, one in Scoring.by(["brats2023"], LESION).scores(mask, mask * 0, spacing_mm=SPACING)]
    assert {one.region for one in scores if one.metric == "dice" and one.value == 0} == {"WT"}
    assert "protocol brats2023: the data set has no TC, ET; both masks count as empty there" in caplog.text


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("brats2023", of(edema=[1], non_enhancing=[2], enhancing=[3])),
        ("brats2024_gli", of(edema=[1], non_enhancing=[2], enhancing=[3])),
        ("brats2023", of(ET=[4])),
        ("brats2023", of(TC=[1, 4], ET=[4])),
        ("brats2023", of(WT=[1], TC=[2], ET=[3])),
        ("brats2024_met", of(WT=[1, 2, 3], TC=[1, 3], ET=[1, 2])),
        ("wmh2017", UNTIL_2021),
        ("atlas_notebook_paper", LESION),
        ("synapse_paper", of(spleen=[1])),
    ],
)
def test_regions_that_a_protocol_does_not_know_are_refused(name: str, labels: Labels) -> None:
    with pytest.raises(LabelError, match=f"protocol {name}"):
        Scoring.by([name], labels)


def test_undeclared_numbers_are_refused_in_arrays_too() -> None:
    mask = random_mask([1], 0)
    for name, value in (("lesionlab", 7), ("wmh2017", 3), ("brats2023", 4), ("synapse_paper", 9)):
        with pytest.raises(LabelError, match=str(value)):
            score(mask, mask * value, spacing_mm=SPACING, protocol=name)
    for name in protocol:
        with pytest.raises(LabelError, match="finite"):
            score(np.where(mask, np.nan, 0.0), mask, spacing_mm=SPACING, protocol=name)


@pytest.mark.parametrize("name", ["lesionlab", "wmh2017", "isles2022", "atlas2", "polyp", "isic2018"])
def test_bools_white_and_probabilities_are_masks_of_the_one_region(name: str) -> None:
    masks = [random_mask([1], seed) for seed in (0, 1)]
    expected = [repr(value) for value in score(*masks, spacing_mm=SPACING, protocol=name).values()]
    for form in (
        [mask.astype(bool) for mask in masks],
        [(mask * 255).astype(np.uint8) for mask in masks],
        [np.where(mask, 0.5, 0.4).astype(np.float32) for mask in masks],
        [mask * 0.9999 for mask in masks],
    ):
        assert [repr(value) for value in score(*form, spacing_mm=SPACING, protocol=name).values()] == expected


GRID = Grid.of((6, 7, 5), np.array([[-1.0, 0, 0, 9], [0, 1.25, 0, -4], [0, 0, 3, 12], [0, 0, 0, 1]]))


@pytest.mark.parametrize("axes", ["LAS", "RAS", "PIR", "ASL", "IPL"])
def test_axes_of_a_prediction_may_run_another_way(tmp_path: Path, axes: str) -> None:
    reference, predicted = random_mask([1], 0)[:6, :7, :5], random_mask([1], 1)[:6, :7, :5]
    write_image(tmp_path / "label.nii.gz", reference, grid=GRID)
    image = nibabel.Nifti1Image(predicted, GRID.matrix)
    turn = nibabel.orientations.ornt_transform(GRID.to_canonical(), nibabel.orientations.axcodes2ornt(axes))
    nibabel.save(image.as_reoriented(turn), tmp_path / "predicted.nii.gz")
    case = Case(id="a", images={}, label=tmp_path / "label.nii.gz", group="a")
    masks = read_case_masks(case, tmp_path / "predicted.nii.gz", LESION)
    np.testing.assert_array_equal(masks.predicted, predicted)
    np.testing.assert_array_equal(masks.reference, reference)
    assert masks.grid == GRID
    moved = GRID.matrix
    moved[2, 3] += 0.1
    write_image(tmp_path / "moved.nii.gz", predicted, grid=Grid.of(GRID.shape, moved))
    with pytest.raises(GridError, match="resample the prediction"):
        read_case_masks(case, tmp_path / "moved.nii.gz", LESION)
