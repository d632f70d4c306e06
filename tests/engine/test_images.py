"""Reading refuses what is damaged or no 3-D image; writing is whole or nothing, and carries no text along."""

import gzip
import itertools
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import nibabel
import numpy as np
import pytest

from lesionlab.core.errors import ImageError, LabelError
from lesionlab.core.grid import Grid
from lesionlab.engine.images import read_image, read_label, write_image

AFFINE = np.array([[0.9, 0.1, 0, -12], [-0.1, 1.1, 0.05, 7.25], [0, 0, 3.0, 30], [0, 0, 0, 1]])
SHAPE = (7, 6, 5)
GRID = Grid.of(SHAPE, AFFINE)
ENDINGS = (".nii", ".nii.gz")


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(100, 30, SHAPE).astype(np.float32)


def save(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    nibabel.save(nibabel.Nifti1Image(array, affine), path)
    return path


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    return save(tmp_path / "sound.nii.gz", noise())


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_round_trip(tmp_path: Path, ending: str, dtype: type):
    array = (noise() - 100 * (dtype is np.int16)).astype(dtype)
    path = tmp_path / f"new{ending}"
    write_image(path, array, grid=GRID, space_code=4)
    image = read_image(path)
    np.testing.assert_array_equal(image.array, array.astype(np.float32))
    np.testing.assert_allclose(image.grid.matrix, AFFINE, atol=1e-4)
    assert image.space_code == 4
    assert nibabel.load(path).get_data_dtype() == dtype
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(("values", "stored"), [((0, 255), "uint8"), ((0, 300), "int16"), ((-1, 3), "int16")])
def test_integers_take_the_smallest_type_that_holds_them(tmp_path: Path, values: tuple[int, int], stored: str):
    array = np.zeros(SHAPE, np.int64)
    array[0, 0, :2] = values
    write_image(tmp_path / "a.nii.gz", array, grid=GRID)
    back = nibabel.load(tmp_path / "a.nii.gz")
    assert back.get_data_dtype() == stored
    np.testing.assert_array_equal(np.asarray(back.dataobj), array)


def test_integers_that_no_type_holds_are_our_own_bug(tmp_path: Path):
    with pytest.raises(AssertionError, match="40000"):
        write_image(tmp_path / "a.nii.gz", np.full(SHAPE, 40000), grid=GRID)


def test_nothing_of_the_source_header_is_carried_over(tmp_path: Path):
    source = nibabel.Nifti1Image(noise(), AFFINE)
    for field in ("descrip", "db_name", "aux_file", "intent_name"):
        source.header[field] = b"CANARY"
    source.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"CANARY"))
    nibabel.save(source, tmp_path / "source.nii")
    assert (tmp_path / "source.nii").read_bytes().count(b"CANARY") == 5
    image = read_image(tmp_path / "source.nii")
    write_image(tmp_path / "new.nii", image.array, grid=image.grid, space_code=image.space_code)
    assert b"CANARY" not in (tmp_path / "new.nii").read_bytes()


def test_same_voxels_same_bytes(tmp_path: Path):
    for name in ("a.nii.gz", "b.nii.gz"):
        write_image(tmp_path / name, noise(), grid=GRID)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


@pytest.mark.parametrize("percent", [0, 1, 10, 50, 90, 99])
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_cut_file_is_refused(tmp_path: Path, ending: str, percent: int):
    path = save(tmp_path / f"cut{ending}", noise())
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * percent // 100])
    with pytest.raises(ImageError, match=path.name):
        read_image(path)


def test_a_flipped_byte_is_refused_or_harmless(sound: Path):
    """Only gzip's own header (time, system) may change without harm: no check sum covers it."""
    expected, data = read_image(sound), sound.read_bytes()
    places = [*range(10), *np.random.default_rng(0).integers(10, len(data) - 8, 50).tolist()]
    refused = 0
    for place, flip in itertools.product(places, (0x01, 0xFF)):
        damaged = bytearray(data)
        damaged[place] ^= flip
        sound.write_bytes(damaged)
        try:
            image = read_image(sound)
        except ImageError:
            refused += 1
            continue
        assert place < 10
        assert image.grid == expected.grid
        np.testing.assert_array_equal(image.array, expected.array)
    assert refused >= 100


@pytest.mark.parametrize("place", range(-8, 0))
def test_a_wrong_gzip_trailer_is_refused(sound: Path, place: int):
    data = bytearray(sound.read_bytes())
    data[place] ^= 0x10
    sound.write_bytes(data)
    with pytest.raises(ImageError, match="gzip"):
        read_image(sound)


def test_whatever_a_header_says_it_is_read_or_refused(tmp_path: Path):
    """300 damaged headers: no exception but ours, no warning, never a voxel that is not finite."""
    path = save(tmp_path / "a.nii", noise())
    data, generator = path.read_bytes(), np.random.default_rng(1)
    outcomes = {True: 0, False: 0}
    for _ in range(300):
        damaged = bytearray(data)
        for place in generator.integers(0, 352, generator.integers(1, 4)):
            damaged[place] = generator.integers(256)
        path.write_bytes(damaged)
        try:
            outcomes[bool(np.isfinite(read_image(path).array).all())] += 1
        except ImageError:
            outcomes[False] += 1
    assert min(outcomes.values()) > 30


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, -5.0, 1e38])
def test_impossible_numbers_in_a_header(tmp_path: Path, number: float):
    """One field at a time: spacing, offset of the voxels, rotation of the qform."""
    image = nibabel.Nifti1Image(noise(), np.diag([1.0, 1.1, 3.0, 1.0]))
    image.set_qform(image.affine, code=1)
    image.header["sform_code"] = 0
    nibabel.save(image, tmp_path / "a.nii")
    data, refused = (tmp_path / "a.nii").read_bytes(), 0
    for place in (*range(76, 112, 4), *range(256, 280, 4)):
        damaged = bytearray(data)
        damaged[place : place + 4] = np.float32(number).tobytes()
        (tmp_path / "a.nii").write_bytes(damaged)
        try:
            assert np.isfinite(read_image(tmp_path / "a.nii").grid.matrix).all()
        except ImageError:
            refused += 1
    assert refused > 0


def test_a_missing_file(tmp_path: Path):
    with pytest.raises(ImageError, match=r"No such file.*none\.nii"):
        read_image(tmp_path / "none.nii")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_not_finite_are_counted_and_refused(tmp_path: Path, value: float):
    array = noise()
    array[1, 2, 3] = value
    with pytest.raises(ImageError, match="1 NaN or infinite voxels"):
        read_image(save(tmp_path / "a.nii.gz", array))


def scaled(path: Path, slope: float) -> Path:
    image = nibabel.Nifti1Image(np.full(SHAPE, 100, np.int16), AFFINE)
    image.header.set_slope_inter(1, 0)
    nibabel.save(image, path)
    data = bytearray(path.read_bytes())
    data[112:116] = np.float32(slope).tobytes()
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("slope", "value"), [(2.0, 200.0), (-1.0, -100.0), (0.0, 100.0), (np.nan, 100.0)])
def test_a_slope_is_applied(tmp_path: Path, slope: float, value: float):
    assert (read_image(scaled(tmp_path / "a.nii", slope)).array == value).all()


def test_a_slope_beyond_float32_is_refused(tmp_path: Path):
    with pytest.raises(ImageError, match="infinite"):
        read_image(scaled(tmp_path / "a.nii", 1e38))


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros((*SHAPE, 3), np.float32), r"4 dimensions \(7, 6, 5, 3\)"),
        (np.zeros((*SHAPE, 1, 3), np.float32), r"5 dimensions \(7, 6, 5, 1, 3\)"),
        (np.zeros(SHAPE[:2], np.float32), r"2 dimensions \(7, 6\)"),
        (np.zeros(SHAPE, np.complex64), "complex64"),
        (np.zeros(SHAPE, [("R", "u1"), ("G", "u1"), ("B", "u1")]), "voxels of type"),
    ],
)
def test_what_is_no_scalar_volume_is_refused(tmp_path: Path, array: np.ndarray, found: str):
    with pytest.raises(ImageError, match=found):
        read_image(save(tmp_path / "a.nii.gz", array))


@pytest.mark.parametrize("extra", [(1,), (1, 1)])
def test_empty_further_axes_are_dropped(tmp_path: Path, extra: tuple[int, ...]):
    image = read_image(save(tmp_path / "a.nii.gz", noise().reshape(SHAPE + extra)))
    np.testing.assert_array_equal(image.array, noise())


def bomb(path: Path, side: int) -> Path:
    header = nibabel.Nifti2Header() if side > 2**15 else nibabel.Nifti1Header()
    header.set_data_dtype(np.uint8)
    header.set_data_shape((side, side, side))
    path.write_bytes(gzip.compress(bytes(header.binaryblock) + bytes(200_000)))
    return path


@pytest.mark.parametrize("side", [1200, 2000, 100_000])
def test_a_header_that_claims_too_much_costs_nothing(tmp_path: Path, side: int):
    """1200 cubed is a size that we read, but the file does not hold it."""
    path = bomb(tmp_path / "bomb.nii.gz", side)
    tracemalloc.start()
    started = time.process_time()
    with pytest.raises(ImageError, match="bomb"):
        read_image(path)
    seconds, (_, peak_bytes) = time.process_time() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 1
    assert peak_bytes < 20e6


def test_a_file_that_holds_more_than_it_claims_is_left_early(tmp_path: Path):
    data = save(tmp_path / "a.nii", noise()).read_bytes()
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(data + bytes(200_000_000), compresslevel=1))
    tracemalloc.start()
    with pytest.raises(ImageError, match="as its header says; found more"):
        read_image(tmp_path / "a.nii.gz")
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 40e6


def test_a_singular_affine_is_refused(tmp_path: Path):
    path = save(tmp_path / "a.nii", noise())
    data = bytearray(path.read_bytes())
    data[280:296] = bytes(16)  # the first row of the sform
    path.write_bytes(data)
    with pytest.raises(ImageError, match="singular"):
        read_image(path)


def test_labels_lose_float_noise_and_keep_large_values(tmp_path: Path):
    array = np.zeros(SHAPE, np.float32)
    array[0, 0, :4] = (1.0005, 0.9996, 300, 4)
    label = read_label(save(tmp_path / "a.nii.gz", array)).array
    assert label.dtype == np.int16
    assert label[0, 0, :4].tolist() == [1, 1, 300, 4]
    assert np.count_nonzero(label) == 4


@pytest.mark.parametrize("value", [0.5, -1.0, 40000.0])
def test_labels_that_are_none_are_refused(tmp_path: Path, value: float):
    array = np.zeros(SHAPE, np.float32)
    array[0, 0, 0] = value
    with pytest.raises(LabelError, match=r"a\.nii\.gz"):
        read_label(save(tmp_path / "a.nii.gz", array))


FULL_DISK = """
import resource, sys
import numpy as np
from pathlib import Path
from lesionlab.core.errors import StorageError
from lesionlab.core.grid import Grid
from lesionlab.engine.images import write_image
array = np.random.default_rng(0).normal(size=(60, 60, 60)).astype(np.float32)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_image(Path(sys.argv[1]), array, grid=Grid.of(array.shape, np.eye(4)))
except StorageError as error:
    sys.exit(f"refused: {error}")
"""


@pytest.mark.parametrize("is_there_before", [False, True])
def test_a_full_disk_leaves_the_earlier_file_and_nothing_else(tmp_path: Path, is_there_before: bool):
    path = tmp_path / "mask.nii.gz"
    if is_there_before:
        write_image(path, noise(), grid=GRID)
    before = {entry: entry.read_bytes() for entry in tmp_path.iterdir()}
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "refused: wanted to write a file whole; found File too large" in done.stderr
    assert {entry: entry.read_bytes() for entry in tmp_path.iterdir()} == before
