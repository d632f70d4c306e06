"""One reader and one verified writer of NIfTI images."""

import gzip
import io
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel
import numpy as np
from jaxtyping import Float32, Int16, Shaped
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from lesionlab.core.errors import ImageError
from lesionlab.core.grid import Grid
from lesionlab.core.labels import whole_numbers
from lesionlab.core.storage import write_bytes_atomically

MAXIMUM_VOXELS = 2**31
"""Larger headers are refused before anything is allocated; the largest real volumes hold 1.3e9 voxels."""

_HEADER_BYTES = 540  # NIfTI-2; NIfTI-1 needs 348 of them
_TRAILER_BYTES = 2**20  # what may follow the voxels: some writers pad the file
_CHUNK_BYTES = 2**22
_COMPRESSION = 4  # float maps compress little beyond this, masks are tiny at any level


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """Voxels and where they lie.

    Attributes:
        array: (x, y, z) as stored on disk, scaled.
        grid: Shape and affine of the file.
        space_code: The NIfTI code of the space that the affine leads to (1: scanner, 4: MNI), copied to outputs.
    """

    array: Float32[np.ndarray, "x y z"] | Int16[np.ndarray, "x y z"]
    grid: Grid
    space_code: int


def read_image(path: Path, *, volume: int | None = None) -> Image:
    """Read one 3-D NIfTI image, or one volume of a 4-D one, as finite float32.

    The header is judged before memory is allocated, and a gzip stream is read to its end so that its checksum is
    verified (nibabel alone stops before it).

    Args:
        path: The file.
        volume: Number of the volume along the fourth axis; None wants an image of three axes.

    Raises:
        ImageError: The file is missing, damaged, not 3-D, not real-valued, too large, or holds NaN or infinite voxels,
            or it has no such volume.
    """
    return _as_numbers(_open(path, volume), path, volume=volume)


def count_volumes(path: Path) -> int:
    """Return how many volumes a NIfTI file holds along its fourth axis; 1 where it has none.

    Raises:
        ImageError: As `read_image`.
    """
    shape = _open(path, 0).shape
    return int(shape[3]) if len(shape) > 3 else 1


def read_label(path: Path, *, volume: int | None = None) -> Image:
    """Read one 3-D NIfTI mask, or one volume of a 4-D one, as int16; whole numbers on disk are never made floats.

    Raises:
        ImageError: As `read_image`.
        LabelError: As `as_label`.
    """
    image = _open(path, volume)
    is_whole = image.get_data_dtype().kind in "iu" and (image.dataobj.slope, image.dataobj.inter) == (1, 0)
    if not is_whole:
        return as_label(_as_numbers(image, path, volume=volume), where=path)
    values = whole_numbers(_voxels(image, volume), where=path)
    return Image(array=values, grid=_grid_of(image, path), space_code=_space_code(image))


def as_label(image: Image, *, where: Path) -> Image:
    """Return a mask's voxels as int16.

    Raises:
        LabelError: A value is no whole number (beyond 1e-3), negative, or above 32,767.
    """
    return replace(image, array=whole_numbers(image.array, where=where))


def write_image(path: Path, array: Shaped[np.ndarray, "x y z *volume"], *, grid: Grid, space_code: int = 1) -> None:
    """Write voxels with a fresh header, verified and atomically.

    The file appears under its name only when it has been written, flushed and read back whole. Nothing of any
    source header is carried over but the grid and the space code, so no text about a patient can be.

    Args:
        path: Ends with .nii or .nii.gz; its folder is made when missing.
        array: Integers are stored as uint8 where they fit, else int16; floats as float32. A fourth axis holds volumes.
        grid: Where the voxels lie.
        space_code: See `Image`.

    Raises:
        StorageError: The file could not be written whole; an earlier file of this name is untouched.
    """
    assert array.shape[:3] == grid.shape, f"array {array.shape} does not fit the grid {grid.shape}"
    stored = array.astype(_stored_type(array))
    image = nibabel.Nifti1Image(stored, grid.matrix)
    image.set_sform(grid.matrix, code=space_code)
    image.set_qform(grid.matrix, code=space_code, strip_shears=True)
    image.header.set_xyzt_units("mm")
    data = image.to_bytes()
    if path.name.endswith(".gz"):
        data = gzip.compress(data, compresslevel=_COMPRESSION, mtime=0)
    write_bytes_atomically(path, data)


def _stored_type(array: Shaped[np.ndarray, "x y z *volume"]) -> type[np.generic]:
    if np.issubdtype(array.dtype, np.floating):
        return np.float32
    low, high = int(array.min(initial=0)), int(array.max(initial=0))
    assert -(2**15) <= low <= high < 2**15, f"values from {low} to {high} do not fit int16"
    return np.uint8 if low >= 0 and high <= 255 else np.int16


def _open(path: Path, volume: int | None) -> nibabel.Nifti1Image | nibabel.Nifti2Image:
    return _open_verified(path, volumes=0 if volume is None else volume + 1)


def _voxels(
    image: nibabel.Nifti1Image, volume: int | None, *, dtype: type[np.generic] | None = None
) -> Shaped[np.ndarray, "x y z"]:
    """Return the voxels of one volume; without `dtype` as stored, where they need no scaling."""
    voxels = image.dataobj if volume is None or image.ndim < 4 else image.dataobj[..., volume]
    return np.asarray(voxels, dtype=dtype).reshape(image.shape[:3])


def _as_numbers(image: nibabel.Nifti1Image, path: Path, *, volume: int | None) -> Image:
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is reported below
        array = _voxels(image, volume, dtype=np.float32)
    bad = array.size - int(np.count_nonzero(np.isfinite(array)))
    if bad:
        raise _error(path, "finite voxel values", f"{bad} NaN or infinite voxels", "repair or exclude this image")
    return Image(array=array, grid=_grid_of(image, path), space_code=_space_code(image))


def _open_verified(path: Path, *, volumes: int) -> nibabel.Nifti1Image | nibabel.Nifti2Image:
    try:
        with path.open("rb") as file, np.errstate(over="ignore", invalid="ignore"):  # a header may say anything
            compressed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            stream: io.BufferedIOBase = gzip.GzipFile(fileobj=file) if compressed else file
            return _read_stream(stream, path, volumes=volumes)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _error(path, "a whole gzip stream", f"a damaged one ({error})", "copy the file again") from error
    except (ImageFileError, HeaderDataError, ValueError, OverflowError) as error:  # an offset of NaN, a void rotation
        raise _error(path, "a NIfTI image", f"something else ({error})", "convert it to .nii.gz") from error
    except OSError as error:
        raise _error(path, "a readable file", str(error.strerror or error), "check the path and rights") from error


def _read_stream(stream: io.BufferedIOBase, path: Path, *, volumes: int) -> nibabel.Nifti1Image | nibabel.Nifti2Image:
    head = stream.read(_HEADER_BYTES)
    is_second = head[:4] in (b"\x1c\x02\x00\x00", b"\x00\x00\x02\x1c")
    image_class = nibabel.Nifti2Image if is_second else nibabel.Nifti1Image
    header_bytes = image_class.header_class.sizeof_hdr
    if len(head) < header_bytes:
        raise _error(path, "a NIfTI header", f"a file of {len(head)} bytes", "copy the file again")
    header = image_class.header_class.from_fileobj(io.BytesIO(head))
    wanted_bytes = _judge_header(header, path, volumes=volumes)
    data = io.BytesIO(head)
    data.seek(0, io.SEEK_END)
    while chunk := stream.read(_CHUNK_BYTES):
        data.write(chunk)
        if data.tell() > wanted_bytes + _TRAILER_BYTES:
            raise _error(path, f"{wanted_bytes} bytes as its header says", "more", "copy or convert the file again")
    if data.tell() < wanted_bytes:
        raise _error(path, f"{wanted_bytes} bytes as its header says", f"only {data.tell()}", "copy the file again")
    data.seek(0)
    return image_class.from_stream(data)


def _judge_header(header: nibabel.Nifti1Header, path: Path, *, volumes: int) -> int:
    """Return how many bytes the file must have; refuse what is not one real image of a sensible size.

    Args:
        header: Of the file.
        path: Named in messages.
        volumes: How many there must be at least along a fourth axis; 0 wants three axes.
    """
    shape = tuple(int(size) for size in header.get_data_shape())
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if volumes and shape[3:] and len(shape) == 4 and shape[3] < volumes:
        raise _error(path, f"at least {volumes} volumes", f"{shape[3]}", "correct the modalities, or give another file")
    if len(shape) not in ((3, 4) if volumes else (3,)) or min(shape) < 1 or (len(shape) == 3 and volumes > 1):
        raise _error(path, "a 3-D image", f"{len(shape)} dimensions {shape}", "give one volume per file")
    dtype = header.get_data_dtype()
    if dtype.kind not in "iuf":
        raise _error(path, "one real number per voxel", f"voxels of type {dtype}", "convert to a scalar image")
    voxels = int(np.prod(shape, dtype=np.float64))
    if voxels > MAXIMUM_VOXELS:
        raise _error(path, f"at most {MAXIMUM_VOXELS} voxels", f"{voxels} by the header", "crop or resample it")
    return int(header["vox_offset"]) + voxels * int(dtype.itemsize)


def _grid_of(image: nibabel.Nifti1Image, path: Path) -> Grid:
    affine = np.asarray(image.affine, dtype=np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise _error(path, "an invertible affine", "a singular or non-finite one", "repair the header")
    return Grid.of(tuple(image.shape[:3]), affine)


def _space_code(image: nibabel.Nifti1Image) -> int:
    return int(image.header["sform_code"]) or int(image.header["qform_code"]) or 1


def _error(path: Path, wanted: str, found: str, next_step: str) -> ImageError:
    return ImageError(wanted, found=found, where=path, next_step=next_step)
