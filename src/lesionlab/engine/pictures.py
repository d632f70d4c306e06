"""Pictures and plain array files as images one voxel thick, or as volumes without a place in the world."""

import io
import warnings
import zipfile
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Integer, Num
from PIL import Image as Picture
from PIL import UnidentifiedImageError

from lesionlab.core.errors import ImageError

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
_CONVERTED = {"P": "RGB", "1": "L", "LA": "L"}
"""Colours by number become colours, black and white 0 and 255, and transparency is left out."""

ARRAY_ENDINGS = (".npz", ".npy", ".h5", ".hdf5")


def read_picture(path: Path, part: str) -> Num[np.ndarray, "x y 1"]:
    """Return one channel of a picture: x runs along its columns, y down its rows.

    Args:
        path: PNG, JPEG, TIFF or BMP.
        part: The channel's number, or an empty string for a grey picture; of a coloured one it then gives the mean.

    Raises:
        ImageError: No picture, too large, or without such a channel.
    """
    try:
        with warnings.catch_warnings(), Picture.open(path) as picture:
            warnings.simplefilter("error", Picture.DecompressionBombWarning)
            pixels = np.asarray(picture.convert(_CONVERTED.get(picture.mode, picture.mode)))
    except (OSError, SyntaxError, UnidentifiedImageError, Picture.DecompressionBombWarning) as error:
        raise _error(path, "a whole picture", str(error), "save it again as PNG") from error
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if not part:
        return pixels.mean(axis=2).T[..., None] if pixels.shape[2] > 1 else pixels.transpose(1, 0, 2)
    if not part.isdigit() or int(part) >= pixels.shape[2]:
        raise _error(path, f"a channel {part}", f"{pixels.shape[2]} channels", "correct the channels' names")
    return pixels[..., int(part)].T[..., None]


def picture_of_mask(mask: Integer[np.ndarray, "x y 1"]) -> bytes:
    """Return a mask as a grey PNG: a lesion is white where 1 is the only value, else values are kept."""
    values = mask[..., 0].T.astype(np.uint8)
    stream = io.BytesIO()
    Picture.fromarray(values * 255 if values.max(initial=0) <= 1 else values).save(stream, format="PNG")
    return stream.getvalue()


def read_array(path: Path, part: str) -> Num[np.ndarray, "x y z"]:
    """Return an array of a NumPy or HDF5 file.

    Two axes are rows and columns, three are slices, rows and columns, as in the files of TransUNet's Synapse set.

    Args:
        path: .npy, .npz, .h5 or .hdf5; nothing in it is executed.
        part: The array's key, followed by "/" and the number of a slice if only that one is meant.

    Raises:
        ImageError: The file is damaged, has no such key, or the array neither two nor three axes.
    """
    key, _, number = part.partition("/")
    try:
        array = _read_key(path, key)
        array = array[int(number)] if number else array
    except (OSError, ValueError, KeyError, EOFError, IndexError, zipfile.BadZipFile) as error:
        raise _error(path, f"an array {part!r}", str(error), "check the file and the key") from error
    if array.ndim not in (2, 3) or array.dtype.kind not in "iufb":
        raise _error(path, "numbers on two or three axes", f"{array.dtype} {array.shape}", "store plain arrays")
    return array.T[..., None] if array.ndim == 2 else array.transpose(2, 1, 0)


def _read_key(path: Path, key: str) -> Num[np.ndarray, "..."]:
    if path.suffix in (".h5", ".hdf5"):
        with h5py.File(path, "r") as file:
            return np.asarray(file[key])
    with path.open("rb") as stream:
        opened = np.load(stream, allow_pickle=False)
        return np.asarray(opened if isinstance(opened, np.ndarray) else opened[key])


def _error(path: Path, wanted: str, found: str, next_step: str) -> ImageError:
    return ImageError(wanted, found=found, where=path, next_step=next_step)
