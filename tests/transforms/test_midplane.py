"""The plane between the hemispheres: found, held against the truth, and left again."""

import time
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import affine_transform, gaussian_filter
from scipy.spatial.transform import Rotation

from lesionlab.core.grid import Grid
from lesionlab.engine.images import read_image, read_label
from lesionlab.transforms.geometry import reorient, resample
from lesionlab.transforms.midplane import Midplane, find_midplane, straight_grid

SHAPE, SPACING_MM = (84, 96, 72), 2.4
SCANS = (
    "ms_openms_p26/t1",
    "ms_simvent_105074/flair",
    "stroke_isles22_case9/dwi",
    "glioma_brats2021_00006/flair",
    "tumor_t1c_brain1/t1ce",
    "healthy_cit168_t1_brain/t1",
)


def ball(points_mm: np.ndarray, centre: tuple[float, ...], radii: tuple[float, ...]) -> np.ndarray:
    """Return 1 inside an ellipsoid; points are (x, y, z, 3) in mm from the middle of the head."""
    return (((points_mm - np.array(centre)) / np.array(radii)) ** 2).sum(axis=-1) < 1


def synthetic_head(*, seed: int, has_skull: bool = True) -> tuple[np.ndarray, Grid, Midplane]:
    """Return a head of two equal halves with a one-sided lesion, turned and moved; its grid; and its true plane."""
    generator = np.random.default_rng(seed)
    yaw, roll, pitch = np.radians(generator.uniform((-15, -15, -15), (15, 15, 15)))
    turn = Rotation.from_euler("zyx", [yaw, roll, pitch]).as_matrix()
    shift_mm = generator.uniform(-10, 10, 3)
    affine = np.diag([SPACING_MM] * 3 + [1.0])
    affine[:3, 3] = -(np.array(SHAPE) - 1) / 2 * SPACING_MM + generator.uniform(-40, 40, 3)
    grid = Grid.of(SHAPE, affine)
    centre = grid.corners_mm.mean(axis=0) + shift_mm
    world = np.moveaxis(np.indices(SHAPE), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
    points_mm = (world - centre) @ turn  # in the head's own axes
    head = 40.0 * ball(points_mm, (0, 0, 0), (74, 92, 68)) if has_skull else np.zeros(SHAPE)
    head[ball(points_mm, (0, 0, 4), (66, 82, 58))] = 100
    for side in (-1, 1):
        head[ball(points_mm, (side * 12, 5, 8), (7, 28, 10))] = 30  # ventricles
        head[ball(points_mm, (side * 25, 12, 0), (9, 16, 12))] = 130  # deep grey matter
        head[ball(points_mm, (side * 38, -50, -20), (20, 22, 16))] = 120
        head[ball(points_mm, (side * 45, 30, 20), (12, 25, 20))] = 85
    head[(np.abs(points_mm[..., 0]) < 1.5) & (head > 0) & (points_mm[..., 2] > 15)] = 50  # the fissure
    lesion = tuple(generator.uniform((20, -40, -10), (45, 40, 35)) * np.array([generator.choice([-1, 1]), 1, 1]))
    head[ball(points_mm, lesion, tuple(generator.uniform(10, 20, 3)))] = 190
    shading = np.exp(0.15 * points_mm[..., 0] / 70)
    image = gaussian_filter(head * shading, 0.5) + generator.normal(0, 4, SHAPE)
    return image.astype(np.float32), grid, _plane(turn[:, 0], float(turn[:, 0] @ centre))


def _plane(normal: np.ndarray, offset_mm: float) -> Midplane:
    x, y, z = (normal * np.sign(normal[0])).tolist()
    return Midplane(
        normal=(x, y, z), offset_mm=float(offset_mm * np.sign(normal[0])), correlation_before=0.0, correlation=1.0
    )


def errors(found: Midplane, truth: Midplane, grid: Grid) -> tuple[float, float]:
    """Return degrees and mm between two planes, the latter in the middle of the grid."""
    middle, normal = grid.corners_mm.mean(axis=0), np.array(truth.normal)
    on_plane = middle - truth.distance_mm(middle) * normal
    return found.angle_degrees(truth), abs(found.distance_mm(on_plane))


def turned(image: np.ndarray, grid: Grid, *, seed: int) -> tuple[np.ndarray, Grid, np.ndarray]:
    """Return a scan of the same head in another pose, on a larger grid, and the 4x4 that moved the head."""
    generator = np.random.default_rng(seed)
    canonical, upright = grid.canonical(), reorient(image, source=grid, target=grid.canonical())
    middle = canonical.corners_mm.mean(axis=0)
    moved = np.eye(4)
    moved[:3, :3] = Rotation.from_euler("zyx", generator.uniform(-15, 15, 3), degrees=True).as_matrix()
    moved[:3, 3] = middle + generator.uniform(-10, 10, 3) - moved[:3, :3] @ middle
    margin = np.ceil(25 / np.array(canonical.spacing_mm)).astype(int)
    matrix = canonical.matrix
    matrix[:3, 3] -= matrix[:3, :3] @ margin
    larger = Grid.of(tuple((np.array(canonical.shape) + 2 * margin).tolist()), matrix)
    step = np.linalg.inv(moved @ canonical.matrix) @ larger.matrix
    air = float(np.median(upright[:5, :5]))
    return affine_transform(upright, step[:3, :3], step[:3, 3], larger.shape, order=1, cval=air), larger, moved


def test_a_turned_head_and_the_way_there_and_back():
    image, grid, truth = synthetic_head(seed=0)
    began = time.process_time()
    found = find_midplane(image, grid)
    assert time.process_time() - began < 8
    degrees, distance_mm = errors(found, truth, grid)
    assert degrees < 1
    assert distance_mm < 1
    assert found.correlation > 0.6, found
    assert found.correlation > found.correlation_before
    straight = straight_grid(grid, found)
    assert abs(found.distance_mm(straight.corners_mm.mean(axis=0))) < 1e-6
    assert np.abs(straight.matrix[:3, 0] / SPACING_MM - found.normal).max() < 1e-9
    mask = (image > 160).astype(np.uint8)
    there = resample(mask, grid, target=straight, order=0)
    back = resample(there, straight, target=grid, order=0)
    assert 2 * (back & mask).sum() / (back.sum() + mask.sum()) >= 0.97


@pytest.mark.slow
def test_twenty_heads():
    """Random yaw, pitch and roll of 15 degrees, shift of 10 mm, shading and a bright one-sided lesion."""
    measured = []
    for seed in range(20):
        image, grid, truth = synthetic_head(seed=seed, has_skull=seed % 2 == 0)
        measured.append(errors(find_midplane(image, grid), truth, grid))
    degrees, distances_mm = np.array(measured).T
    assert np.median(degrees) <= 0.8
    assert np.median(distances_mm) <= 1
    assert degrees.max() <= 2


@pytest.mark.slow
@pytest.mark.parametrize("scan", SCANS)
def test_a_real_scan_turned_at_random(real_data: Path, scan: str):
    """The plane turns with the head, the search takes less than 8 s, and masks come back."""
    image = read_image(real_data / "brain" / f"{scan}.nii.gz")
    first = find_midplane(image.array, image.grid)
    array, grid, moved = turned(image.array, image.grid, seed=len(scan))
    began = time.process_time()
    found = find_midplane(array, grid)
    assert time.process_time() - began < 8
    normal = moved[:3, :3] @ np.array(first.normal)
    degrees, distance_mm = errors(found, _plane(normal, first.offset_mm + float(normal @ moved[:3, 3])), grid)
    assert degrees <= 2
    assert distance_mm <= 1
    assert found.correlation > 0.6, found


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", ["glioma_brats2021_00006", "stroke_isles22_case9", "ms_openms_p26", "ms_simvent_105074"]
)
def test_a_real_mask_comes_back(real_data: Path, case: str):
    label = read_label(real_data / "brain" / case / "mask.nii.gz")
    modality = "dwi" if case.startswith("stroke") else "flair"
    image = read_image(real_data / "brain" / case / f"{modality}.nii.gz")
    straight = straight_grid(image.grid, find_midplane(image.array, image.grid))
    there = resample(label.array, label.grid, target=straight, order=0)
    back, mask = resample(there, straight, target=label.grid, order=0) > 0, label.array > 0
    assert 2 * (back & mask).sum() / (back.sum() + mask.sum()) >= 0.97


def test_the_mirrored_head_has_the_mirrored_plane():
    image, grid, _ = synthetic_head(seed=3)
    small, coarse = image[::2, ::2, ::2], Grid.of((42, 48, 36), np.diag([4.8, 4.8, 4.8, 1.0]))
    found, mirrored = find_midplane(small, coarse), find_midplane(small[::-1].copy(), coarse)
    middle = coarse.corners_mm.mean(axis=0)
    np.testing.assert_allclose(mirrored.normal, np.array(found.normal) * (1, -1, -1), atol=1e-9)
    assert mirrored.distance_mm(middle) == pytest.approx(-found.distance_mm(middle), abs=1e-6)
    assert grid.shape == SHAPE


@pytest.mark.parametrize("kind", ["noise", "constant"])
def test_what_has_no_two_sides_is_not_sure(kind: str):
    generator = np.random.default_rng(0)
    image = generator.standard_normal((40, 40, 40)) if kind == "noise" else np.ones((40, 40, 40))
    assert not find_midplane(image.astype(np.float32), Grid.of((40, 40, 40), np.diag([4.0, 4.0, 4.0, 1.0]))).is_sure
