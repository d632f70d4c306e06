"""Where the two sides of a head differ."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import rankdata

from lesionlab.core.case import Case
from lesionlab.engine.asymmetry import measure_asymmetry
from lesionlab.engine.images import read_image, read_label, write_image
from lesionlab.transforms.asymmetry import asymmetry_map
from lesionlab.transforms.geometry import resample
from lesionlab.transforms.midplane import straight_grid


def symmetric_head(*, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a noisy picture of two like halves, and the head in it."""
    generator = np.random.default_rng(seed)
    x, y, z = np.indices((40, 44, 20)) - np.array([19.5, 21.5, 9.5]).reshape(3, 1, 1, 1)
    head = (x / 18) ** 2 + (y / 20) ** 2 + (z / 9) ** 2 < 1
    image = np.where(head, 100.0, 0.0)
    image[(np.abs(x) - 6) ** 2 + y**2 / 4 + z**2 < 9] = 40
    return (image + generator.normal(0, 3, image.shape) * head).astype(np.float32), head


def test_a_lesion_shows_on_both_sides_with_both_signs():
    image, head = symmetric_head(seed=0)
    image[28:33, 24:30, 8:12] += 60
    found = asymmetry_map(image, head, spacing_mm=(2.0, 2.0, 3.0))
    assert found[30, 27, 10] > 4
    assert found[9, 27, 10] < -4
    assert np.percentile(np.abs(found[:, :20]), 99) < 2


def test_the_shading_of_a_coil_hides_no_lesion_and_looks_like_none():
    image, head = symmetric_head(seed=2)
    image[28:33, 24:30, 8:12] += 60
    shaded = image * np.linspace(0.7, 1.3, 40, dtype=np.float32).reshape(40, 1, 1)
    found = asymmetry_map(shaded, head, spacing_mm=(2.0, 2.0, 3.0))
    assert found[30, 27, 10] > 4
    assert np.percentile(np.abs(found[:, :20]), 99) < 2


def test_reversing_reverses_the_map_and_its_scale_does_not_matter():
    image, head = symmetric_head(seed=1)
    found = asymmetry_map(image, head, spacing_mm=(2.0, 2.0, 3.0))
    np.testing.assert_allclose(found, -found[::-1], atol=1e-5)
    np.testing.assert_allclose(
        asymmetry_map(image[::-1], head[::-1], spacing_mm=(2.0, 2.0, 3.0)), found[::-1], atol=1e-5
    )
    scaled = asymmetry_map(image * 7 + 100, head, spacing_mm=(2.0, 2.0, 3.0))
    np.testing.assert_allclose(scaled, found, atol=1e-3)


@pytest.mark.parametrize("head", ["all", "none"])
def test_a_constant_image_and_an_empty_head_give_nothing(head: str):
    mask = np.full((8, 8, 8), head == "all")
    assert not asymmetry_map(np.full((8, 8, 8), 3, np.float32), mask, spacing_mm=(1.0, 1.0, 1.0)).any()


@pytest.mark.slow
def test_swapping_the_sides_of_a_real_scan_flips_its_map_and_keeps_its_score(real_data: Path, tmp_path: Path):
    image = read_image(real_data / "brain" / "glioma_brats2021_00006" / "flair.nii.gz")
    found = []
    for name, array in (("as_is", image.array), ("swapped", image.array[::-1])):
        path = tmp_path / f"{name}.nii.gz"
        write_image(path, np.ascontiguousarray(array), grid=image.grid)
        found.append(measure_asymmetry(Case(id=name, images={"flair": path}, label=None, group=name), "flair"))
    assert abs(image.grid.matrix[0, 0]) == pytest.approx(image.grid.spacing_mm[0]), "the first axis is left to right"
    assert found[0].score > 1
    assert found[1].score == pytest.approx(found[0].score, abs=1e-4)
    np.testing.assert_allclose(found[1].on_scan, found[0].on_scan[::-1], atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "modality"), [("glioma_brats2021_00006", "flair"), ("stroke_isles22_case9", "dwi")])
def test_real_lesions_and_their_mirrored_places_stand_out(real_data: Path, name: str, modality: str):
    """AUC of lesion or mirrored place against the rest of the brain, nothing learned: 0.92 and 0.95."""
    folder = real_data / "brain" / name
    case = Case(id=name, images={modality: folder / f"{modality}.nii.gz"}, label=None, group=name)
    found = measure_asymmetry(case, modality)
    label = read_label(folder / "mask.nii.gz")
    straight = straight_grid(label.grid, found.plane)
    lesion = resample(label.array, label.grid, target=straight, order=0) > 0
    brain = found.upright > 0
    marked = (lesion | lesion[::-1])[brain]
    ranks = rankdata(np.abs(found.upright_map[brain]))
    inside = int(marked.sum())
    area = (ranks[marked].sum() - inside * (inside + 1) / 2) / (inside * (len(marked) - inside))
    assert area >= 0.80
    assert found.on_scan.shape == label.grid.shape
