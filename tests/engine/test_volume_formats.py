"""Every format of volumes gives the same voxels in the same places, or a refusal in one line."""

import gzip
import itertools
import os
import socket
import struct
import tracemalloc
import zlib
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionlab.core.content_key import file_digest
from lesionlab.core.errors import ImageError
from lesionlab.core.labels import LESION
from lesionlab.engine.case_files import read_file, read_mask_file

ENDINGS = (".nii.gz", ".NII.GZ", ".nii", ".hdr", ".mgz", ".mgh", ".nrrd", ".nhdr", ".mha", ".mhd")
ITK = (".nrrd", ".nhdr", ".mha", ".mhd")
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
AFFINE = np.array([[0.0, -1.1, 0.2, 20], [0.9, 0.0, 0, -30], [0, 0.3, 3.0, 5], [0, 0, 0, 1]])


def write(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE, *, is_compressed: bool = True) -> Path:
    """Write a volume by the library that is at home in its format."""
    if path.suffix in ITK:
        image = sitk.GetImageFromArray(array.T)
        matrix = LPS @ affine
        spacing = np.linalg.norm(matrix[:3, :3], axis=0)
        image.SetSpacing(spacing.tolist())
        image.SetDirection((matrix[:3, :3] / spacing).ravel().tolist())
        image.SetOrigin(matrix[:3, 3].tolist())
        sitk.WriteImage(image, str(path), is_compressed)
    elif path.suffix in (".mgz", ".mgh"):
        nibabel.save(nibabel.MGHImage(array, affine), path)
    elif path.suffix == ".hdr":
        nibabel.save(nibabel.Nifti1Pair(array, affine), path)
    elif path.suffix == ".GZ":
        path.write_bytes(gzip.compress(nibabel.Nifti1Image(array, affine).to_bytes()))
    else:
        nibabel.save(nibabel.Nifti1Image(array, affine), path)
    return path


def volume(seed: int = 0, dtype: type = np.float32) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 200, (5, 4, 3)).astype(dtype)


ORIENTATIONS = [
    np.column_stack([np.eye(3)[:, list(order)] * signs, [3.0, -4.0, 5.0]])
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1.0, -1.0), repeat=3)
]


@pytest.mark.parametrize("ending", [".mgz", ".hdr", ".nrrd", ".mha"])
def test_all_48_orientations_lie_where_nibabel_puts_them(tmp_path: Path, ending: str):
    for number, corner in enumerate(ORIENTATIONS):
        affine = np.vstack([corner @ np.diag([1.0, 1.5, 2.5, 1.0]), [0, 0, 0, 1]])
        image = read_file(write(tmp_path / f"{number}{ending}", volume(), affine))
        np.testing.assert_array_equal(image.array, volume())
        np.testing.assert_allclose(image.grid.matrix, affine, atol=1e-5)


@settings(deadline=None, max_examples=25)
@given(
    ending=st.sampled_from(ENDINGS),
    dtype=st.sampled_from([np.uint8, np.int16, np.int32, np.float32]),
    seed=st.integers(0, 99),
    angle=st.floats(-0.5, 0.5),
    is_compressed=st.booleans(),
)
def test_voxels_and_places_come_back(
    tmp_path_factory: pytest.TempPathFactory, ending: str, dtype: type, seed: int, angle: float, is_compressed: bool
):
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    affine = turn @ np.diag([1.0, 0.8, 3.0, 1.0])
    array = volume(seed, dtype)
    path = write(tmp_path_factory.mktemp("f") / f"a b{ending}", array, affine, is_compressed=is_compressed)
    image = read_file(path)
    np.testing.assert_array_equal(image.array, array)
    np.testing.assert_allclose(image.grid.matrix, affine, atol=1e-4)
    mask = write(path.with_name(f"m{ending}"), (array > 100).astype(dtype), affine)
    np.testing.assert_array_equal(read_mask_file(mask, LESION).array, array > 100)


@pytest.mark.parametrize("ending", ITK)
def test_a_lying_ending_does_not_matter(tmp_path: Path, ending: str):
    path = write(tmp_path / f"a{ending}", volume())
    lying = path.rename(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(read_file(lying).array, volume())


def data_file(path: Path) -> Path:
    return next((file for file in path.parent.iterdir() if file != path), path)


@pytest.mark.parametrize("is_compressed", [False, True])
@pytest.mark.parametrize("ending", ENDINGS)
def test_cut_files_are_refused(tmp_path: Path, ending: str, is_compressed: bool):
    path = write(tmp_path / f"a{ending}", np.random.default_rng(0).normal(size=(20, 20, 20)).astype(np.float32),
                 is_compressed=is_compressed)  # fmt: skip
    cut = data_file(path)
    whole = cut.read_bytes()
    for share in (0, 0.02, 0.5, 0.97):
        cut.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ImageError, match=r"a\.") as refused:
            read_file(path)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("ending", [".nii.gz", ".mgz", ".nrrd", ".mha", ".nhdr", ".mhd"])
def test_damaged_compressed_streams_are_refused(tmp_path: Path, ending: str):
    path = write(tmp_path / f"a{ending}", np.random.default_rng(0).normal(size=(16, 16, 16)).astype(np.float32))
    damaged = data_file(path)
    whole = bytearray(damaged.read_bytes())
    for place in (len(whole) // 2, len(whole) - 6):
        changed = whole.copy()
        changed[place] ^= 0xFF
        damaged.write_bytes(changed)
        with pytest.raises(ImageError, match=r"damaged|more|only"):
            read_file(path)


@pytest.mark.parametrize("ending", [".hdr", ".nhdr", ".mhd"])
def test_a_missing_data_file_is_named_and_part_of_the_content(tmp_path: Path, ending: str):
    path = write(tmp_path / f"a{ending}", volume(), is_compressed=False)
    before = file_digest(path)
    other = data_file(path)
    other.write_bytes(other.read_bytes()[:-1] + b"\x01")
    assert file_digest(path) != before
    other.unlink()
    with pytest.raises(ImageError, match=other.name):
        read_file(path)


def test_a_stored_value_that_is_not_finite_is_refused_in_every_format(tmp_path: Path):
    array = volume()
    array[1, 1, 1] = np.nan
    for ending in ENDINGS:
        with pytest.raises(ImageError, match="1 NaN or infinite"):
            read_file(write(tmp_path / f"a{ending}", array))


def test_colours_and_four_axes_are_refused(tmp_path: Path):
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 4, 5, 3), np.uint8), isVector=True), str(tmp_path / "a.nrrd"))
    sitk.WriteImage(sitk.JoinSeries([sitk.GetImageFromArray(volume().T)] * 2), str(tmp_path / "a.mha"))
    with pytest.raises(ImageError, match="one real number per voxel"):
        read_file(tmp_path / "a.nrrd")
    with pytest.raises(ImageError, match="a 3-D image"):
        read_file(tmp_path / "a.mha")
    np.testing.assert_array_equal(read_file(tmp_path / "a.mha", "1").array, volume())


def png_of(side: int) -> bytes:
    """Return a black and white PNG that claims so many rows and columns, and has few of them."""
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def tiff_of(side: int) -> bytes:
    """Return a black and white TIFF that claims so many rows and columns, and has few of them."""
    tags = {256: side, 257: side, 258: 1, 259: 1, 262: 1, 273: 8, 278: side, 279: 100}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<I", 108) + bytes(100) + struct.pack("<H", len(tags)) + entries + bytes(4)


def bombs(folder: Path) -> list[tuple[Path, str]]:
    """Files of a few bytes whose headers claim tens of gigabytes."""
    nrrd = b"NRRD0004\ntype: float\ndimension: 3\nsizes: 4000 4000 4000\nencoding: gzip\nendian: little\n\n"
    (folder / "a.nrrd").write_bytes(nrrd + gzip.compress(bytes(100_000)))
    metaimage = (
        b"ObjectType = Image\nNDims = 3\nDimSize = 4000 4000 4000\nElementType = MET_FLOAT\nElementDataFile = LOCAL\n"
    )
    (folder / "a.mha").write_bytes(metaimage + bytes(1000))
    header = nibabel.MGHImage(volume(), np.eye(4)).header
    header["dims"] = (4000, 4000, 4000, 1)
    (folder / "a.mgz").write_bytes(gzip.compress(bytes(header.binaryblock[:90]) + bytes(100_000)))
    with (folder / "a.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f4", "fortran_order": False, "shape": (4000, 4000, 4000)}
        )
    (folder / "b.npy").write_bytes(
        (folder / "a.npy").read_bytes().replace(b"(4000, 4000, 4000)", b"(400, 4000, 400)  ")
    )
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("image", shape=(4000, 4000, 4000), dtype="f4", chunks=(10, 10, 10))
    (folder / "a.png").write_bytes(png_of(60_000))
    (folder / "a.tif").write_bytes(tiff_of(60_000))
    return [(path, "image" if path.suffix == ".h5" else "") for path in sorted(folder.iterdir())]


def test_headers_that_claim_too_much_cost_nothing(tmp_path: Path):
    made = bombs(tmp_path)
    for path, part in made:
        tracemalloc.start()
        with pytest.raises(ImageError, match=path.name):
            read_file(path, part)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak_bytes < 20e6, path.name


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".png", ".npy", ".mha", ".hdr", ".mgz"])
def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path, ending: str):
    os.mkfifo(tmp_path / f"pipe{ending}")
    (tmp_path / f"null{ending}").symlink_to("/dev/zero")
    (tmp_path / f"dead{ending}").symlink_to("nowhere")
    (tmp_path / f"loop{ending}").symlink_to(f"loop{ending}")
    (tmp_path / f"annex{ending}").symlink_to("../.git/annex/objects/aa/bb/SHA256E-s1--x/SHA256E-s1--x")
    (tmp_path / f"unlocked{ending}").write_text("/annex/objects/SHA256E-s1--x\n")
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(tmp_path)
        listener.bind(f"socket{ending}")
        for name, found in {
            "pipe": "a named pipe", "null": "a device", "dead": "a link to nowhere", "annex": "datalad get",
            "unlocked": "datalad get", "socket": "a socket", "loop": "loop", "absent": "No such file",
        }.items():  # fmt: skip
            with pytest.raises(ImageError, match=found):
                read_file(tmp_path / f"{name}{ending}")


@pytest.mark.parametrize("name", ["a.minc", "a.mat", "a", "a.txt"])
def test_other_formats_are_refused_by_name(tmp_path: Path, name: str):
    (tmp_path / name).write_bytes(b"something else entirely")
    with pytest.raises(ImageError, match=r"an image that is read: NIfTI"):
        read_file(tmp_path / name)
