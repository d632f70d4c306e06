"""Plain arrays of NumPy and HDF5 files, as volumes without a place in the world."""

import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Num

from lesionlab.engine.volume import error_of, judge_size

_DAMAGE = (OSError, ValueError, KeyError, EOFError, IndexError, TypeError, RuntimeError, zipfile.BadZipFile)


def read_array(path: Path, part: str) -> Num[np.ndarray, "x y z"]:
    """Return an array of a NumPy or HDF5 file, whose header is judged before anything is read.

    Two axes are rows and columns, three are slices, rows and columns, as in the files of TransUNet's Synapse set.

    Args:
        path: .npy, .npz, .h5 or .hdf5, whatever it is called; nothing in it is executed.
        part: The array's key, followed by "/" and the number of a slice if only that one is meant.

    Raises:
        ImageError: The file is damaged, has no such key, is too large, or the array neither two nor three axes.
    """
    key, _, number = part.partition("/")
    with path.open("rb") as file:
        head = file.read(8)
    read = {b"PK": _read_npz, b"\x93N": _read_npy}.get(head[:2], _read_hdf5)
    try:
        array = read(path, key, int(number) if number else None)
    except _DAMAGE as error:
        found = str(error).partition("\n")[0]
        raise error_of(path, f"an array {part!r}", found, "check the file and the key") from error
    if array.ndim not in (2, 3) or array.dtype.kind not in "iufb":
        raise error_of(path, "numbers on two or three axes", f"{array.dtype} {array.shape}", "store plain arrays")
    return array.T[..., None] if array.ndim == 2 else array.transpose(2, 1, 0)


def _read_npy(path: Path, _: str, number: int | None) -> Num[np.ndarray, "..."]:
    with path.open("rb") as stream:
        _judge_npy(stream, path, stored_bytes=path.stat().st_size)
    mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    return np.array(mapped if number is None else mapped[number])


def _read_npz(path: Path, key: str, number: int | None) -> Num[np.ndarray, "..."]:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        name = next(name for name in (f"{key}.npy", key, "") if name in names or not name)
        if not name:
            raise KeyError(f"no key {key!r} among {', '.join(member.removesuffix('.npy') for member in names[:8])}")
        with archive.open(name) as stream:
            _judge_npy(stream, path, stored_bytes=archive.getinfo(name).file_size)
        with archive.open(name) as stream:
            array = np.lib.format.read_array(stream, allow_pickle=False)
            if stream.read(1):
                raise ValueError("more than its header says")
    return np.asarray(array if number is None else array[number])


def _judge_npy(stream: Any, path: Path, *, stored_bytes: int) -> None:
    """Refuse what is too large, or holds less than its header says, before memory is allocated."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    expected_bytes = judge_size(shape, path=path) * dtype.itemsize
    if not dtype.hasobject and stored_bytes < expected_bytes:
        raise ValueError(f"{stored_bytes} bytes where its header says {expected_bytes}")


def _read_hdf5(path: Path, key: str, number: int | None) -> Num[np.ndarray, "..."]:
    with h5py.File(path, "r") as file:
        dataset = file[key]
        if not isinstance(dataset, h5py.Dataset):
            raise KeyError(f"{key!r} is no array but a group of {', '.join(list(dataset)[:8])}")
        if not number:
            judge_size(dataset.shape if number is None else dataset.shape[1:], path=path)
        return np.asarray(dataset[()] if number is None else dataset[number])
