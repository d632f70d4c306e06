"""A case becomes what a network sees, or is refused with both files named."""

from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from pydantic import ValidationError
from tiny_training import AFFINE, SHAPE, phantom, save

from lesionlab.core.case import Case
from lesionlab.core.errors import GridError, ImageError, LabelError, LayoutError
from lesionlab.core.labels import LESION, Labels
from lesionlab.core.recipe import Preprocessing
from lesionlab.engine.preprocess import Prepared, prepare

BOTH = ("flair", "t1")


@pytest.fixture
def case(tmp_path: Path) -> Case:
    flair, t1, mask = phantom(0)
    images = {"flair": save(tmp_path / "flair.nii.gz", flair), "t1": save(tmp_path / "t1.nii.gz", t1)}
    return Case(id="a", images=images, label=save(tmp_path / "mask.nii.gz", mask), group="a")


def prepared_of(case: Case, **settings: object) -> Prepared:
    return prepare(case, BOTH, settings=Preprocessing.model_validate(settings), labels=LESION)


def test_what_a_network_sees(case: Case):
    prepared = prepared_of(case)
    box = prepared.geometry.box
    assert prepared.image.shape == (2, *box.shape)
    assert prepared.image.dtype == np.float32
    assert box.shape < SHAPE
    assert box.shape[0] >= 20
    np.testing.assert_array_equal(prepared.label, phantom(0)[2][box.slices])
    assert prepared.label.sum() == phantom(0)[2].sum()
    assert prepared.background == tuple(part.min() for part in prepared.image)


def test_modalities_come_in_the_order_asked_for(case: Case):
    settings = Preprocessing()
    one = prepare(case, ("t1", "flair"), settings=settings, labels=LESION)
    np.testing.assert_array_equal(one.image[::-1], prepared_of(case).image)


def test_a_lesion_outside_the_foreground_stays_in_the_box(case: Case):
    mask = phantom(0)[2]
    mask[0, 0, 0] = 1
    save(case.label, mask)
    assert prepared_of(case).label.sum() == mask.sum()


@pytest.mark.parametrize("codes", ["LPS", "SAR", "PIL"])
def test_another_order_of_axes_is_the_same_case(case: Case, codes: str):
    expected = prepared_of(case)
    for path in (case.images["t1"], case.label):
        turned = nibabel.load(path).as_reoriented(
            nibabel.orientations.ornt_transform(
                nibabel.io_orientation(AFFINE), nibabel.orientations.axcodes2ornt(tuple(codes))
            )
        )
        nibabel.save(turned, path)
    prepared = prepared_of(case)
    np.testing.assert_array_equal(prepared.image, expected.image)
    np.testing.assert_array_equal(prepared.label, expected.label)


def shifted() -> np.ndarray:
    affine = AFFINE.copy()
    affine[0, 3] += 5
    return affine


def stretched() -> np.ndarray:
    return AFFINE @ np.diag([1.01, 1, 1, 1])


def oblique() -> np.ndarray:
    c, s = np.cos(0.1), np.sin(0.1)
    return np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]) @ AFFINE


def mirrored() -> np.ndarray:
    return np.diag([-1.0, 1, 1, 1]) @ AFFINE


OTHER_GRIDS = {
    "shifted": (phantom(0)[1], shifted()),
    "stretched": (phantom(0)[1], stretched()),
    "oblique": (phantom(0)[1], oblique()),
    "mirrored": (phantom(0)[1], mirrored()),
    "smaller": (phantom(0)[1][:-1], AFFINE),
    "larger": (np.pad(phantom(0)[1], ((0, 0), (0, 0), (0, 1))), AFFINE),
}


@pytest.mark.parametrize("name", OTHER_GRIDS)
def test_a_modality_on_another_grid(case: Case, name: str):
    array, affine = OTHER_GRIDS[name]
    save(case.images["t1"], array, affine)
    with pytest.raises(GridError) as caught:
        prepared_of(case)
    assert caught.value.where == f"{case.images['flair']} and {case.images['t1']}"
    prepared = prepared_of(case, resample_modalities=True)
    assert prepared.image.shape[1:] == prepared.geometry.box.shape
    assert np.isfinite(prepared.image).all()


def test_a_resampled_modality_lies_where_it_was(case: Case):
    """A T1 of half the spacing is brought to the FLAIR's voxels."""
    fine = np.repeat(phantom(0)[1], 2, axis=0)
    affine = AFFINE @ np.diag([0.5, 1, 1, 1])
    affine[:3, 3] = AFFINE[:3, 3] - AFFINE[:3, 0] / 4
    expected = prepared_of(case)
    save(case.images["t1"], fine, affine)
    np.testing.assert_allclose(prepared_of(case, resample_modalities=True).image, expected.image, atol=1e-3)


def test_a_mask_on_another_grid_is_never_resampled(case: Case):
    save(case.label, phantom(0)[2], shifted())
    with pytest.raises(GridError, match=r"flair\.nii\.gz and .*mask\.nii\.gz"):
        prepared_of(case, resample_modalities=True)


def test_undeclared_labels_are_refused_and_never_wrapped(case: Case):
    save(case.label, phantom(0)[2].astype(np.int16) * 257)
    with pytest.raises(LabelError, match="257"):
        prepared_of(case)


@pytest.mark.parametrize("values", [{0, 1, 4}, {0, 2, 5}])
def test_stored_values_stay_as_they_are(case: Case, values: set[int]):
    mask = np.zeros(SHAPE, np.uint8)
    mask[10, 10, 1:3] = sorted(values)[1:]
    save(case.label, mask)
    labels = Labels(regions={"all": frozenset(values - {0})})
    prepared = prepare(case, BOTH, settings=Preprocessing(), labels=labels)
    assert set(np.unique(prepared.label).tolist()) == values


def test_a_missing_modality_is_named(case: Case):
    alone = replace(case, images={"flair": case.images["flair"]})
    with pytest.raises(LayoutError, match="only flair; in case a; next: add t1"):
        prepared_of(alone)


def test_one_bad_voxel_is_refused(case: Case):
    array = phantom(0)[1]
    array[3, 3, 3] = np.nan
    save(case.images["t1"], array)
    with pytest.raises(ImageError, match=r"t1\.nii\.gz"):
        prepared_of(case)


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 1, 3)])
def test_a_constant_case_of_any_size_is_all_nothing(tmp_path: Path, shape: tuple[int, int, int]):
    images = {name: save(tmp_path / f"{name}.nii", np.full(shape, 9, np.int16)) for name in BOTH}
    prepared = prepared_of(Case(id="a", images=images, label=None, group="a"))
    assert prepared.image.shape == (2, *shape)
    assert not prepared.image.any()
    assert prepared.label is None


def test_one_constant_modality_is_0(case: Case):
    save(case.images["t1"], np.zeros(SHAPE, np.float32))
    prepared = prepared_of(case)
    assert not prepared.image[1].any()
    assert prepared.image[0].any()


def test_the_asked_for_spacing(case: Case):
    prepared = prepared_of(case, spacing_mm=(2.0, 2.0, 3.0))
    assert prepared.geometry.working.spacing_mm == pytest.approx((2, 2, 3))
    assert prepared.image.shape[1] < 16
    assert set(np.unique(prepared.label).tolist()) == {0, 1}


def with_brain(case: Case, mask: np.ndarray, affine: np.ndarray = AFFINE) -> Case:
    return replace(case, brain_mask=save(case.label.parent / "brain.nii.gz", mask, affine))


def test_only_the_brain_is_kept_and_counts(case: Case):
    brain = np.zeros(SHAPE, np.uint8)
    brain[9:21, 10:27, 1:4] = 1
    prepared = prepared_of(with_brain(case, brain), foreground="brain_mask")
    box = prepared.geometry.box
    inside = brain[box.slices] > 0
    assert prepared.image[:, inside].mean(axis=1) == pytest.approx([0, 0], abs=1e-4)
    for part, background in zip(prepared.image, prepared.background, strict=True):
        assert set(part[~inside].tolist()) <= {background}
    labelled = np.argwhere((phantom(0)[2] > 0) | (brain > 0))
    assert (box.start, box.stop) == (tuple(labelled.min(axis=0)), tuple(labelled.max(axis=0) + 1))


def test_a_mask_of_the_brain_may_have_another_order_of_axes(case: Case):
    brain = np.zeros(SHAPE, np.uint8)
    brain[9:21, 10:27, 1:4] = 1
    expected = prepared_of(with_brain(case, brain), foreground="brain_mask")
    back = AFFINE @ np.diag([-1.0, 1, 1, 1])
    back[:3, 3] += AFFINE[:3, 0] * (SHAPE[0] - 1)
    turned = prepared_of(with_brain(case, brain[::-1], back), foreground="brain_mask")
    np.testing.assert_array_equal(turned.image, expected.image)


def test_a_brain_that_is_asked_for_and_not_there_is_refused(case: Case):
    with pytest.raises(LayoutError, match="a mask of the brain"):
        prepared_of(case, foreground="brain_mask")
    elsewhere = with_brain(case, np.ones(SHAPE, np.uint8), shifted())
    with pytest.raises(GridError, match=r"flair\.nii\.gz and .*brain\.nii\.gz"):
        prepared_of(elsewhere, foreground="brain_mask")


@pytest.mark.parametrize("way", ["n4", "mirror"])
def test_evening_out_changes_images_of_mri_and_no_label(case: Case, way: str):
    plain, even = prepared_of(case, straighten=True), prepared_of(case, straighten=True, bias_field=way)
    assert even.geometry == plain.geometry
    np.testing.assert_array_equal(even.label, plain.label)
    assert not np.array_equal(even.image, plain.image)
    fixed = {"normalisation": "unit_range", "straighten": True}
    np.testing.assert_array_equal(prepared_of(case, bias_field=way, **fixed).image, prepared_of(case, **fixed).image)


def test_sides_are_compared_only_where_the_head_is_upright(case: Case):
    with pytest.raises(ValidationError, match="straighten = true"):
        prepared_of(case, bias_field="mirror")


def test_a_scan_without_air_keeps_its_darkest_lesion(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    generator = np.random.default_rng(0)
    x, y, z = np.indices((32, 32, 12))
    image = np.where((x - 16) ** 2 + (y - 16) ** 2 < 81, 600, 900) + generator.normal(0, 30, x.shape)
    lesion = ((x - 18) ** 2 + (y - 16) ** 2 + (z - 6) ** 2) < 9
    image[lesion] = generator.normal(350, 30, int(lesion.sum()))
    paths = [
        save(tmp_path / f"{name}.nii.gz", values) for name, values in (("t2", image), ("mask", lesion.astype(np.uint8)))
    ]
    case = Case(id="a", images={"t2 without air": paths[0]}, label=paths[1], group="a")
    for _ in range(2):
        made = prepare(case, ("t2 without air",), settings=Preprocessing(), labels=LESION)
    assert made.label is not None
    assert np.corrcoef(made.image[0][made.label > 0], image[lesion])[0, 1] > 0.999
    assert [record.getMessage() for record in caplog.records].count(
        "no air at the edges of a scan (t2 without air): all of such scans is taken for foreground"
    ) == 1
