"""One reader of NIfTI and MGH images, and one verified writer of NIfTI."""

import gzip
import io
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import nibabel
import numpy as np
from jaxtyping import Shaped
from nibabel.filebasedimages import ImageFileError
from nibabel.freesurfer.mghformat import MGHError, MGHHeader
from nibabel.spatialimages import HeaderDataError

from lesionlab.core.grid import Grid
from lesionlab.core.image_formats import partners_of
from lesionlab.core.labels import whole_numbers
from lesionlab.core.storage import write_bytes_atomically
from lesionlab.engine.regular_file import check_regular
from lesionlab.engine.volume import MAXIMUM_VOXELS as MAXIMUM_VOXELS
from lesionlab.engine.volume import TRAILER_BYTES, error_of, finite_float32, judge_shape
from lesionlab.engine.volume import Image as Image

_CHUNK_BYTES = 2**22
_COMPRESSION = 4  # float maps compress little beyond this, masks are tiny at any level

_MGH_HEADER_BYTES = 284  # where its voxels begin

_FILE_ERRORS = (ImageFileError, HeaderDataError, MGHError, ValueError, OverflowError, KeyError)
"""What nibabel raises for an offset of NaN, a void rotation, an unknown type and the like."""


def read_image(path: Path, *, volume: int | None = None) -> Image:
    """Read one 3-D NIfTI or MGH image, or one volume of a 4-D one, as finite float32.

    The header is judged before memory is allocated, and a gzip stream is read to its end so that its checksum is
    verified (nibabel alone stops before it).

    Args:
        path: The file; of a NIfTI pair the header or the voxels.
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
    """Read a 3-D NIfTI or MGH mask, or one volume of a 4-D one, as int16; whole numbers on disk are never made floats.

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


_Opened: TypeAlias = nibabel.Nifti1Pair | nibabel.Nifti2Pair | nibabel.MGHImage  # single files are pairs, too


def _open(path: Path, volume: int | None) -> _Opened:
    volumes = 0 if volume is None else volume + 1
    check_regular(path)
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # a header may say anything
            if path.suffix.lower() in (".hdr", ".img"):
                return _read_pair(path, volumes=volumes)
            with path.open("rb") as file:
                compressed = file.read(2) == b"\x1f\x8b"
                file.seek(0)
                stream: io.BufferedIOBase = gzip.GzipFile(fileobj=file) if compressed else file
                return _read_stream(stream, path, volumes=volumes)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise error_of(path, "a whole gzip stream", f"a damaged one ({error})", "copy the file again") from error
    except _FILE_ERRORS as error:
        raise error_of(path, "a NIfTI image", f"something else ({error})", "convert it to .nii.gz") from error
    except OSError as error:
        found = str(error.strerror or error)
        raise error_of(path, "a readable file", found, "check the path and rights") from error


def _voxels(
    image: _Opened, volume: int | None, *, dtype: type[np.generic] | None = None
) -> Shaped[np.ndarray, "x y z"]:
    """Return the voxels of one volume; without `dtype` as stored, where they need no scaling."""
    voxels = image.dataobj if volume is None or image.ndim < 4 else image.dataobj[..., volume]
    return np.asarray(voxels, dtype=dtype).reshape(image.shape[:3])


def _as_numbers(image: _Opened, path: Path, *, volume: int | None) -> Image:
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is reported with the rest
        array = _voxels(image, volume, dtype=np.float32)
    return Image(array=finite_float32(array, path=path), grid=_grid_of(image, path), space_code=_space_code(image))


def _read_stream(stream: io.BufferedIOBase, path: Path, *, volumes: int) -> _Opened:
    head = stream.read(nibabel.Nifti2Header.sizeof_hdr)
    image_class = _class_of(head)
    is_mgh = image_class is nibabel.MGHImage
    header_bytes = _MGH_HEADER_BYTES if is_mgh else image_class.header_class.sizeof_hdr
    if len(head) < header_bytes:
        raise error_of(path, "a NIfTI header", f"a file of {len(head)} bytes", "copy the file again")
    wanted_bytes = _judge_header(image_class.header_class.from_fileobj(io.BytesIO(head)), path, volumes=volumes)
    data = io.BytesIO(head)
    data.seek(0, io.SEEK_END)
    while chunk := stream.read(_CHUNK_BYTES):
        data.write(chunk)
        if data.tell() > wanted_bytes + TRAILER_BYTES:
            raise error_of(path, f"{wanted_bytes} bytes as its header says", "more", "copy or convert the file again")
    if data.tell() < wanted_bytes:
        raise error_of(path, f"{wanted_bytes} bytes as its header says", f"only {data.tell()}", "copy the file again")
    data.seek(0)
    return image_class.from_stream(data)


def _class_of(head: bytes) -> Any:
    """Return nibabel's class for a file that begins so."""
    if head[:4] in (b"\x1c\x02\x00\x00", b"\x00\x00\x02\x1c"):
        return nibabel.Nifti2Image
    return nibabel.MGHImage if head[:4] == b"\x00\x00\x00\x01" else nibabel.Nifti1Image


def _read_pair(path: Path, *, volumes: int) -> _Opened:
    """Return the image of a header file and a file of voxels; neither is compressed."""
    (partner,) = partners_of(path)
    if not partner.exists() and not partner.is_symlink():
        raise error_of(path, f"its other half {partner.name}", "no such file", "put it beside it again")
    check_regular(partner)
    header_file, voxel_file = (path, partner) if path.suffix.lower() == ".hdr" else (partner, path)
    head = header_file.read_bytes()[: nibabel.Nifti2Header.sizeof_hdr]
    image_class = nibabel.Nifti2Pair if _class_of(head) is nibabel.Nifti2Image else nibabel.Nifti1Pair
    header = image_class.header_class.from_fileobj(io.BytesIO(head))
    if not bytes(header["magic"]).startswith((b"ni1", b"ni2")):
        found = "an Analyze header, which does not say where left and right are"
        raise error_of(path, "the header of a NIfTI pair", found, "convert it to .nii.gz from its source")
    wanted_bytes, stored_bytes = _judge_header(header, path, volumes=volumes), voxel_file.stat().st_size
    if stored_bytes < wanted_bytes:
        raise error_of(voxel_file, f"{wanted_bytes} bytes as its header says", f"only {stored_bytes}", "copy it again")
    return image_class.from_file_map(image_class.make_file_map({"header": str(header_file), "image": str(voxel_file)}))


def _judge_header(header: nibabel.Nifti1Header | MGHHeader, path: Path, *, volumes: int) -> int:
    """Return how many bytes the file of the voxels must have; refuse what is not one real image of a sensible size.

    Args:
        header: Of the file.
        path: Named in messages.
        volumes: How many there must be at least along a fourth axis; 0 wants three axes.
    """
    dtype = header.get_data_dtype()
    voxels = judge_shape(tuple(int(size) for size in header.get_data_shape()), path=path, volumes=volumes)
    if dtype.kind not in "iuf":
        raise error_of(path, "one real number per voxel", f"voxels of type {dtype}", "convert to a scalar image")
    offset = header.get_data_offset() if isinstance(header, MGHHeader) else int(header["vox_offset"])
    return int(offset) + voxels * int(dtype.itemsize)


def _grid_of(image: _Opened, path: Path) -> Grid:
    affine = np.asarray(image.affine, dtype=np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise error_of(path, "an invertible affine", "a singular or non-finite one", "repair the header")
    return Grid.of(tuple(int(size) for size in image.shape[:3]), affine)


def _space_code(image: _Opened) -> int:
    if isinstance(image, nibabel.MGHImage):
        return 1
    return int(image.header["sform_code"]) or int(image.header["qform_code"]) or 1
