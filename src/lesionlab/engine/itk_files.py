"""NRRD and MetaImage volumes, read by SimpleITK behind the checks that it does not make itself."""

import gzip
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import IO, Any

import numpy as np
from jaxtyping import Float

from lesionlab.core.errors import ImageError
from lesionlab.core.grid import Grid
from lesionlab.engine.regular_file import check_regular
from lesionlab.engine.volume import TRAILER_BYTES, Image, error_of, finite_float32, judge_shape

_READERS = {"nrrd": "NrrdImageIO", "metaimage": "MetaImageIO"}

_LARGEST_HEADER = 2**20
_CHUNK_BYTES = 2**22

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Payload:
    """Where the voxels of an image lie and how they are packed.

    Attributes:
        file: The image itself, or the one that its detached header names.
        offset: Where they begin in it; None where they end with the file.
        is_packed: Whether they are compressed, by gzip or zlib.
    """

    file: Path
    offset: int | None
    is_packed: bool


def read_itk(path: Path, *, kind: str, volume: int | None = None) -> Image:
    """Read one 3-D NRRD or MetaImage, or one volume of a 4-D one, as finite float32 in RAS+ coordinates.

    SimpleITK fills up what a truncated file lacks and does not look at checksums, so that the size of the data is
    compared with the header, and a compressed stream read to its end, before SimpleITK decodes it.

    Args:
        path: The file, or the header where that is detached.
        kind: "nrrd" or "metaimage", as its content begins.
        volume: Number of the volume along the fourth axis; None wants an image of three axes.

    Raises:
        ImageError: The file or its data are missing, damaged, not 3-D, not real-valued, too large, or hold NaN or
            infinite voxels, or there is no such volume.
    """
    itk = _simple_itk()
    reader = itk.ImageFileReader()
    reader.SetImageIO(_READERS[kind])
    reader.SetFileName(str(path))
    payload = _PAYLOADS[kind](path)
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise error_of(path, "a whole header", "a damaged one, or one not understood", "export it again") from error
    expected_bytes = _judge(itk, reader, path, volumes=0 if volume is None else volume + 1)
    _check_payload(payload, path, expected_bytes=expected_bytes)
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise error_of(path, "voxels as the header says", "damaged ones", "export or copy it again") from error
    voxels = itk.GetArrayFromImage(image).T
    voxels = voxels[..., volume or 0] if voxels.ndim == 4 else voxels
    grid = Grid.of(voxels.shape, _affine(reader, path))
    return Image(array=finite_float32(voxels, path=path), grid=grid, space_code=1)


def _judge(itk: ModuleType, reader: Any, path: Path, *, volumes: int) -> int:
    """Return how many bytes the voxels take; refuse what is not one real image of a sensible size."""
    shape = tuple(int(size) for size in reader.GetSize())
    voxels = judge_shape(shape, path=path, volumes=volumes)
    name = itk.GetPixelIDValueAsString(reader.GetPixelID())
    bits = re.search(r"(8|16|32|64)-bit (?:un)?signed integer|(32|64)-bit float", name)
    if bits is None or reader.GetNumberOfComponents() != 1:
        raise error_of(path, "one real number per voxel", f"voxels of type {name}", "convert to a scalar image")
    return voxels * int(bits.group(1) or bits.group(2)) // 8


def _affine(reader: Any, path: Path) -> Float[np.ndarray, "4 4"]:
    """Return the transform from voxel numbers to mm in RAS+, where ITK has LPS+."""
    size = len(reader.GetSize())
    matrix = np.eye(4)
    direction = np.array(reader.GetDirection()).reshape(size, size)[:3, :3]
    matrix[:3, :3] = direction * np.array(reader.GetSpacing())[:3]
    matrix[:3, 3] = np.array(reader.GetOrigin())[:3]
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:3, :3])) < 1e-9:
        raise error_of(path, "an invertible affine", "a singular or non-finite one", "repair the header")
    return _LPS_TO_RAS @ matrix


def _check_payload(payload: _Payload, path: Path, *, expected_bytes: int) -> None:
    """Refuse data that are shorter than the header says, or whose compressed stream is damaged."""
    check_regular(payload.file)
    if not payload.is_packed:
        stored = payload.file.stat().st_size - (payload.offset or 0)
        if stored < expected_bytes:
            raise _too_short(path, expected_bytes, stored)
        return
    with payload.file.open("rb") as file:
        try:
            packed = _unpacked(file, offset=payload.offset or 0, limit=expected_bytes + TRAILER_BYTES)
            stored = sum(len(chunk) for chunk in packed)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise error_of(path, "a whole compressed stream", f"a damaged one ({error})", "copy it again") from error
    if stored < expected_bytes:
        raise _too_short(path, expected_bytes, stored)
    if stored > expected_bytes + TRAILER_BYTES:
        raise error_of(path, f"{expected_bytes} bytes as its header says", "more", "copy or convert the file again")


def _unpacked(file: IO[bytes], *, offset: int, limit: int) -> Iterator[bytes]:
    """Yield what a gzip or zlib stream holds, a little at a time, and no more than just above the limit."""
    file.seek(offset)
    is_gzip = file.read(2) == b"\x1f\x8b"
    file.seek(offset)
    if is_gzip:
        stream, taken = gzip.GzipFile(fileobj=file), 0
        while taken <= limit and (chunk := stream.read(_CHUNK_BYTES)):
            taken += len(chunk)
            yield chunk
        return
    unpacker, taken = zlib.decompressobj(), 0
    while taken <= limit and not unpacker.eof:
        packed = unpacker.unconsumed_tail or file.read(_CHUNK_BYTES)
        if not packed:
            raise EOFError("it ends too early")
        chunk = unpacker.decompress(packed, _CHUNK_BYTES)
        taken += len(chunk)
        yield chunk


def _nrrd_payload(path: Path) -> _Payload:
    head = _head(path)
    end = re.search(rb"\n\r?\n", head)
    fields = _fields(head[: end.start()] if end else head, separator=":")
    encoding = fields.get("encoding", "raw").lower()
    if encoding not in ("raw", "gzip", "gz"):
        raise error_of(path, "voxels stored as raw or gzip", f"encoding {encoding}", "save it again compressed")
    named = fields.get("data file", fields.get("datafile", ""))
    if not named and end is None:
        raise error_of(path, "voxels after the header, or the name of their file", "neither", "export it again")
    offset = _skipped(fields.get("byte skip", fields.get("byteskip", ""))) if named or end is None else end.end()
    return _Payload(file=_data_file(path, named), offset=offset, is_packed=encoding != "raw")


def _metaimage_payload(path: Path) -> _Payload:
    head = _head(path)
    end = re.search(rb"^ElementDataFile *= *(.+?) *\r?(\n|\Z)", head, re.MULTILINE)
    if end is None:
        raise error_of(path, "a header that names ElementDataFile", "none", "export it again")
    fields = _fields(head[: end.end()], separator="=")
    if fields.get("binarydata", "true").lower() == "false":
        raise error_of(path, "voxels stored in binary form", "BinaryData = False", "save it again compressed")
    named = end.group(1).decode(errors="replace")
    is_local = named.upper() == "LOCAL"
    offset = end.end() if is_local else _skipped(fields.get("headersize", ""))
    file = path if is_local else _data_file(path, named)
    return _Payload(file=file, offset=offset, is_packed=fields.get("compresseddata", "false").lower() == "true")


_PAYLOADS: Mapping[str, Callable[[Path], _Payload]] = {"nrrd": _nrrd_payload, "metaimage": _metaimage_payload}


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LARGEST_HEADER)


def _fields(head: bytes, *, separator: str) -> dict[str, str]:
    lines = (line.partition(separator) for line in head.decode("latin-1").splitlines())
    return {key.strip().lower(): value.strip() for key, mark, value in lines if mark}


def _skipped(count: str) -> int | None:
    """Return how many bytes come before the voxels; None where these are simply the last ones."""
    return None if count == "-1" else int(count) if count.isdigit() else 0


def _data_file(path: Path, named: str) -> Path:
    if not named:
        return path
    if named.split()[0].upper() == "LIST" or "%" in named:
        raise error_of(path, "all voxels in one file", "a list of files, one per slice", "save it as one file")
    file = path.parent / named
    if not file.exists() and not file.is_symlink():
        raise error_of(path, f"its data file {named}", "no such file", f"put {file.name} beside it again")
    return file


def _too_short(path: Path, expected: int, stored: int) -> ImageError:
    return error_of(path, f"{expected} bytes of voxels as its header says", f"only {stored}", "copy the file again")


@cache
def _simple_itk() -> ModuleType:
    import SimpleITK  # takes a second, and only such files need it

    module: ModuleType = SimpleITK
    module.ProcessObject.SetGlobalWarningDisplay(False)
    return module
