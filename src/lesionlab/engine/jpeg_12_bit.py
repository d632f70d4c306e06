"""Pixels of DICOM files that are compressed as JPEG with 12 bits, which pydicom's decoders leave alone."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from jaxtyping import Num

_JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
_MULTI_FRAME_WORDS = "1.2.840.10008.5.1.4.1.1.7.3"
"""SOP class of a secondary capture of several frames of 16 bits, to which GDCM applies no rescaling."""


def is_jpeg_12_bit(content: Any) -> bool:
    """Return whether a file's pixels are grey, unsigned and compressed as JPEG Extended with more than 8 bits."""
    return bool(
        content.file_meta.get("TransferSyntaxUID") == _JPEG_EXTENDED
        and content.get("BitsStored", 0) > 8
        and content.get("PixelRepresentation") == 0
        and content.get("SamplesPerPixel") == 1
    )


def decode_jpeg_12_bit(content: Any, *, count: int) -> Num[np.ndarray, "frame row column"]:
    """Return the stored values of every frame, as the GDCM within SimpleITK decodes them.

    Only the pixels and their form are handed over, so that neither rescaling nor the order of slices can change.

    Args:
        content: Of the file, its pixels included.
        count: How many frames its header has places for.

    Raises:
        ValueError: A frame is no whole JPEG.
        RuntimeError: A frame is damaged.
    """
    import SimpleITK
    from pydicom.dataset import Dataset
    from pydicom.encaps import generate_frames

    frames = list(generate_frames(content.PixelData, number_of_frames=count))
    if len(frames) != count or not all(_is_whole(frame) for frame in frames):
        raise ValueError("a frame was cut off")
    bare = Dataset()
    bare.SOPClassUID, bare.SOPInstanceUID = _MULTI_FRAME_WORDS, content.SOPInstanceUID
    bare.NumberOfFrames, bare.PhotometricInterpretation = count, "MONOCHROME2"
    for name in ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
        setattr(bare, name, content[name].value)
    bare.PixelData = content.PixelData
    bare["PixelData"].is_undefined_length = True
    bare.ensure_file_meta()
    bare.file_meta.TransferSyntaxUID = content.file_meta.TransferSyntaxUID
    with TemporaryDirectory() as folder:
        path = Path(folder) / "frames.dcm"
        bare.save_as(path, enforce_file_format=True)
        return np.asarray(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path), imageIO="GDCMImageIO")))


def _is_whole(frame: bytes) -> bool:
    return frame.startswith(b"\xff\xd8") and frame.rstrip(b"\0").endswith(b"\xff\xd9")
