"""Pictures as images one voxel thick, and stacks of them in one TIFF as volumes."""

import io
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Integer, Num, Shaped
from PIL import Image as Picture
from PIL import ImageOps, UnidentifiedImageError

from lesionlab.core.errors import LabelError
from lesionlab.core.image_formats import spacing_file_of
from lesionlab.core.labels import WHITE, Labels
from lesionlab.core.text_files import read_json
from lesionlab.engine.volume import error_of, judge_size

WHITES: Final = (255, 4095, 65535)
"""The brightest value of 8, 12 and 16 bits."""

_AS_SHOWN: Final = {"P": "RGB", "PA": "RGB", "1": "L", "LA": "L", "La": "L", "RGBa": "RGBA", "RGBX": "RGB"}
_COLOURED: Final = ("CMYK", "YCbCr", "LAB", "HSV")
"""Colours by number and colours of print become red, green and blue, black and white 0 and 255; transparency goes."""

_ORIENTATION = 274  # tag of EXIF and TIFF; from 5 on, rows and columns are exchanged

_GREY_SPREAD = 64
"""Channels that differ by more show a colour; grey JPEG files in colour stay well below."""

_DAMAGE: Final = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError, ZeroDivisionError,
    struct.error, UnidentifiedImageError, Picture.DecompressionBombWarning, Picture.DecompressionBombError,
)  # fmt: skip
"""What Pillow raises for files that are no picture, damaged, or too large."""


def read_picture(path: Path, part: str) -> Num[np.ndarray, "x y z"]:
    """Return one channel of a picture: x runs along its columns, y down its rows, z through the pages of a TIFF.

    A picture is turned as its EXIF tag says. Whatever its number range, values come out as those of 8 bits, 0 to 255:
    those of 12 bits (no value above 4095) and of 16 are scaled down, floats from 0 to 1 up. Numbers below zero, as CT
    has them, and above 65,535 stay as they are.

    Args:
        path: PNG, JPEG, TIFF, BMP, or GIF or WebP of a single frame.
        part: The channel's number, or an empty string for a grey picture; of a coloured one it then gives the mean.

    Raises:
        ImageError: No picture, too large, animated, or without such a channel.
    """
    pages = _pages(path, as_stored=False)
    pages = _on_eight_bit_scale(pages)
    if not part:
        colours = pages[..., :3] if pages.shape[3] in (3, 4) else pages
        mean: Num[np.ndarray, "x y z"] = colours.mean(axis=3).transpose(2, 1, 0)
        return mean
    if not part.isdigit() or int(part) >= pages.shape[3]:
        raise error_of(path, f"a channel {part}", f"{pages.shape[3]} channels", "correct the channels' names")
    return pages[..., int(part)].transpose(2, 1, 0)


def read_mask_picture(
    path: Path, part: str, *, colours: Mapping[tuple[int, int, int], int]
) -> Num[np.ndarray, "x y z"]:
    """Return the stored values of a mask that is a picture.

    A mask with a palette of greys has these, one with a palette of colours their numbers. With `colours`, each pixel
    has the value of its colour.

    Args:
        path: As for `read_picture`.
        part: The channel's number, or an empty string.
        colours: Red, green and blue of each colour and the value that it stands for; empty for masks without colours.

    Raises:
        ImageError: As `read_picture`.
        LabelError: The mask shows colours, of which `colours` do not say what they mean, or is partly transparent.
    """
    pages = _pages(path, as_stored=not colours)
    if colours:
        return _values_of_colours(pages, path, colours=colours).transpose(2, 1, 0)
    if part.isdigit() and int(part) < pages.shape[3]:
        return pages[..., int(part)].transpose(2, 1, 0)
    if pages.shape[3] in (2, 4):
        alpha = pages[..., -1]
        if alpha.min() != alpha.max():
            raise _mask_error(path, "an opaque mask", "one that is partly transparent", "save it in black and white")
        pages = pages[..., :-1]
    if pages.shape[3] > 1 and int(np.ptp(pages.astype(np.int64), axis=3).max(initial=0)) > _GREY_SPREAD:
        next_step = "say what they mean in lesionlab.toml: colours = { lesion = [255, 0, 0] }"
        raise _mask_error(path, "a mask in black, white and grey", "colours", next_step)
    grey = pages[..., 0] if pages.shape[3] == 1 else pages.mean(axis=3)
    return grey.transpose(2, 1, 0)


def read_spacing_mm(path: Path) -> tuple[float, float, float]:
    """Return the distances between voxels along x, y and z: 1 mm, or what a file beside a TIFF says.

    That is nnU-Net's ``<name>.json`` with ``{"spacing": [z, y, x]}``; see `spacing_file_of`.

    Raises:
        ImageError: The file does not hold three positive numbers.
    """
    beside = spacing_file_of(path)
    if beside is None:
        return 1.0, 1.0, 1.0
    try:
        z, y, x = (float(number) for number in read_json(beside)["spacing"])
        if not all(0 < number < np.inf for number in (x, y, z)):
            raise ValueError(f"{[z, y, x]}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        found = str(error).partition("\n")[0]
        raise error_of(beside, '{"spacing": [z, y, x]} in mm', found, "correct or remove the file") from error
    return x, y, z


def picture_of_mask(mask: Integer[np.ndarray, "x y 1"], labels: Labels) -> bytes:
    """Return a mask as a grey PNG: white where there is lesion, or stored values where there are several regions.

    Args:
        mask: Stored values.
        labels: What they mean.
    """
    values = mask[..., 0].T
    values = np.where(values, WHITE, 0).astype(np.uint8) if len(labels.regions) == 1 else values
    stream = io.BytesIO()
    Picture.fromarray(values.astype(np.uint8 if values.max(initial=0) <= WHITE else np.uint16)).save(
        stream, format="PNG"
    )
    return stream.getvalue()


def white_of(highest: float, lowest: float, *, is_float: bool) -> float | None:
    """Return which number is white where values reach from `lowest` to `highest`; None where nothing tells."""
    if lowest < -1e-3:
        return None
    if is_float and highest <= 1 + 1e-3:
        return 1.0
    return next((float(white) for white in WHITES if highest <= white), None)


def read_white(path: Path) -> float | None:
    """Return which number `read_picture` takes for white in a picture of more than 8 bits; None for others.

    Raises:
        ImageError: As `read_picture`.
    """
    try:
        with Picture.open(path) as picture:
            is_deep = picture.mode[0] in "IF"
    except _DAMAGE as error:
        raise error_of(path, "a whole picture", str(error).partition("\n")[0], "save it again as PNG") from error
    if not is_deep:
        return None
    pages = _pages(path, as_stored=False)
    is_float = pages.dtype.kind == "f"
    return white_of(float(pages.max(initial=0)), float(pages.min(initial=0)), is_float=is_float)


def _on_eight_bit_scale(pages: Num[np.ndarray, "z y x channel"]) -> Num[np.ndarray, "z y x channel"]:
    if pages.dtype == np.uint8:
        return pages
    white = white_of(float(pages.max(initial=0)), float(pages.min(initial=0)), is_float=pages.dtype.kind == "f")
    return pages if white in (None, 255.0) else pages * np.float32(255 / white)


def _pages(path: Path, *, as_stored: bool) -> Num[np.ndarray, "z y x channel"]:
    """Return all pages of a picture, colours by number as such where it is read as stored."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of odd metadata; broken pixels raise
            warnings.simplefilter("error", Picture.DecompressionBombWarning)
            with Picture.open(path) as picture:
                count = getattr(picture, "n_frames", 1)
                if count > 1 and picture.format != "TIFF":
                    raise error_of(path, "a single picture", f"{count} frames", "save the one that is meant as PNG")
                judge_size((*picture.size, count), path=path)
                if picture.info.get("compression") == "raw" and picture.getexif().get(_ORIENTATION, 1) >= 5:
                    found = "a TIFF turned by its orientation tag"  # whose rows Pillow mixes up unless compressed
                    raise error_of(path, "pixels stored upright", found, "save it again as PNG")
                pages = [_pixels(picture, page, as_stored=as_stored) for page in range(count)]
    except _DAMAGE as error:
        raise error_of(path, "a whole picture", str(error).partition("\n")[0], "save it again as PNG") from error
    shapes = sorted({page.shape for page in pages})
    if len(shapes) > 1:
        found = " and ".join(f"{shape[1]} x {shape[0]}" for shape in shapes[:2])
        raise error_of(path, "pages of one size and kind", found, "save the page that is meant as PNG")
    return np.stack(pages)


def _pixels(picture: Picture.Image, page: int, *, as_stored: bool) -> Shaped[np.ndarray, "y x channel"]:
    picture.seek(page)
    picture.load()  # which turns a TIFF by itself, but only then forgets its tag
    turned = ImageOps.exif_transpose(picture)
    if as_stored:
        mode = _stored_mode(turned)
    else:
        mode = "RGB" if turned.mode in _COLOURED else _AS_SHOWN.get(turned.mode, turned.mode)
    pixels = np.asarray(turned if mode == turned.mode else turned.convert(mode))
    pixels = pixels.astype(np.uint8) if pixels.dtype == bool else pixels
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _stored_mode(picture: Picture.Image) -> str:
    """Return the mode in which a mask's pixels are its stored values; the greys of a palette go before its numbers."""
    if picture.mode in _COLOURED:
        return "RGB"
    if picture.mode != "P":
        return str(picture.mode)
    palette = np.array(picture.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
    used = palette[np.minimum(np.unique(np.asarray(picture)), len(palette) - 1)]
    return "L" if (used == used[:, :1]).all() else "P"


def _values_of_colours(
    pages: Num[np.ndarray, "z y x channel"], path: Path, *, colours: Mapping[tuple[int, int, int], int]
) -> Integer[np.ndarray, "z y x"]:
    """Return the value of each pixel's colour; JPEG files get that of the nearest one."""
    rgb = np.broadcast_to(pages, (*pages.shape[:3], 3)) if pages.shape[3] == 1 else pages[..., :3]
    distances = np.stack([np.abs(rgb.astype(np.int64) - colour).sum(axis=3) for colour in colours])
    nearest = distances.argmin(axis=0)
    unknown = distances.min(axis=0) > 0
    if unknown.any() and path.suffix.lower() not in (".jpg", ".jpeg"):
        found = f"also {rgb[unknown][0].tolist()}"
        raise _mask_error(path, f"the colours {list(map(list, colours))}", found, "name it among the colours")
    values: Integer[np.ndarray, "z y x"] = np.array(list(colours.values()), dtype=np.int16)[nearest]
    return values


def _mask_error(path: Path, wanted: str, found: str, next_step: str) -> LabelError:
    return LabelError(wanted, found=found, where=path, next_step=next_step)
