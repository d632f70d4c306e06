"""Pixels of DICOM files, compressed or not, and the refusal of what cannot be decoded."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Num

from lesionlab.core.errors import ImageError
from lesionlab.engine.jpeg_12_bit import decode_jpeg_12_bit, is_jpeg_12_bit


def decode(content: Any, path: Path, *, count: int) -> Num[np.ndarray, "frame row column"]:
    """Return the stored values of every frame of a file.

    Args:
        content: Of the file, its pixels included.
        path: Named in the message.
        count: How many frames its header has places for.

    Raises:
        ImageError: The file has no pixels, was cut off, is damaged, or is compressed in a way that no installed package
            decodes.
    """
    if "PixelData" not in content and "FloatPixelData" not in content and "DoubleFloatPixelData" not in content:
        raise _error(path, "pixels", "none in this file", "export the series again")
    try:
        with _quiet():
            is_jpeg_12 = is_jpeg_12_bit(content)
            values = decode_jpeg_12_bit(content, count=count) if is_jpeg_12 else np.asarray(content.pixel_array)
    except Exception as error:  # each decoder fails with errors of its own kinds
        raise _undecoded(content, path, error) from error
    frames = values[np.newaxis] if values.ndim == 2 else values
    if frames.ndim != 3 or len(frames) != count:
        raise _error(path, f"{count} frames of grey pixels", f"an array of {values.shape}", "export the series again")
    return frames


def look_up(pixels: Num[np.ndarray, "row column"], content: Any, path: Path) -> Num[np.ndarray, "row column"]:
    """Return stored values as the file's own table of modality units has them.

    Raises:
        ImageError: The table is damaged.
    """
    from pydicom.pixels.processing import apply_modality_lut

    try:
        return np.asarray(apply_modality_lut(pixels, content))
    except Exception as error:  # as in `decode`
        raise _error(path, "a table of modality units", "a damaged one", "export the series again") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep pydicom from printing what each decoder met, tracebacks included: the refusal says it in one line."""
    printing = logging.getLogger("pydicom")
    level = printing.level
    printing.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        printing.setLevel(level)


def _undecoded(content: Any, path: Path, error: Exception) -> ImageError:
    """Return why pixels were not decoded: no package for it, or damage."""
    from pydicom.pixels.decoders.base import get_decoder

    syntax = content.file_meta.get("TransferSyntaxUID")
    if syntax is None or not syntax.is_transfer_syntax:
        found = f"a transfer syntax that is none ({syntax})"
        return _error(path, "pixels that can be decoded", found, "export the series again, uncompressed")
    if not syntax.is_encapsulated:
        reason = str(error).partition("\n")[0]
        return _error(
            path, "whole pixels", f"a file that was cut off or is damaged ({reason})", "copy or export it again"
        )
    compressed = f"compressed as {syntax.name}, {syntax}"
    try:
        is_known = get_decoder(syntax).is_available
    except NotImplementedError:
        return _error(path, "pixels that can be decoded", f"ones {compressed}", "export the series uncompressed")
    if "does not support" in str(error):  # signed 12-bit JPEG
        return _error(path, "pixels that can be decoded", f"ones {compressed}", "export the series uncompressed")
    if not is_known:
        advice = "pip install python-gdcm, which reads it, or export the series uncompressed"
        return _error(path, "pixels that can be decoded", f"ones {compressed}", advice)
    return _error(path, "whole pixels", f"damaged ones, {compressed}", "copy or export the series again")


def _error(where: Path, wanted: str, found: str, next_step: str) -> ImageError:
    return ImageError(wanted, found=found, where=where, next_step=next_step)
