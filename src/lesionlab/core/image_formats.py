"""Formats of image files: how their names end, and which files belong together. No other module lists endings."""

import re
from pathlib import Path
from typing import Final

VOLUME_ENDINGS: Final = (".nii.gz", ".nii", ".hdr", ".mgz", ".mgh", ".nrrd", ".nhdr", ".mha", ".mhd")
"""NIfTI (single files, and pairs by their header), FreeSurfer's MGH, NRRD and MetaImage."""

PICTURE_ENDINGS: Final = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp")
ARRAY_ENDINGS: Final = (".npz", ".npy", ".h5", ".hdf5")

IMAGE_ENDINGS: Final = (*VOLUME_ENDINGS, *PICTURE_ENDINGS, *ARRAY_ENDINGS)

READ_FORMATS: Final = (
    "NIfTI (.nii, .nii.gz, .hdr and .img), .mgz, .mgh, .nrrd, .nhdr, .mha, .mhd, pictures, .npy, .npz, .h5"
)
"""For messages."""

DATA_FILE: Final = {
    ".nhdr": re.compile(rb"^data ?file: *(.+?) *\r?$", re.IGNORECASE | re.MULTILINE),
    ".mhd": re.compile(rb"^ElementDataFile *= *(.+?) *\r?$", re.MULTILINE),
}
"""The line of a detached header that names the file of the voxels."""

_HEADER_BYTES = 2**20


def ending_of(path: Path) -> str:
    """Return the known ending of a file's name in lower case: ``.nii.gz`` is one. Empty for any other name."""
    name = path.name.lower()
    return next((ending for ending in IMAGE_ENDINGS if name.endswith(ending) and name != ending), "")


def stem_of(path: Path) -> str:
    """Return a file's name without its ending, known or not."""
    return path.name[: len(path.name) - len(ending_of(path) or path.suffix)]


def is_volume(path: Path) -> bool:
    """Return whether a name is that of a volume that knows where its voxels lie."""
    return ending_of(path) in VOLUME_ENDINGS


def is_nifti(path: Path) -> bool:
    """Return whether a name is that of a single NIfTI file."""
    return ending_of(path) in (".nii.gz", ".nii")


def is_picture(path: Path) -> bool:
    """Return whether a name is that of a picture."""
    return ending_of(path) in PICTURE_ENDINGS


def spacing_file_of(path: Path) -> Path | None:
    """Return the file beside a TIFF that says how far its voxels are apart, if it is there.

    It is nnU-Net's ``<name>.json``, where ``<name>`` may lack the number of the channel (``_0000``).
    """
    if path.suffix.lower() not in (".tif", ".tiff"):
        return None
    stems = (path.stem, path.stem[:-5] if path.stem[-5:-4] == "_" else path.stem)
    return next((file for file in (path.with_name(f"{stem}.json") for stem in stems) if file.is_file()), None)


def partners_of(path: Path) -> tuple[Path, ...]:
    """Return the further files that an image consists of, there or not: the voxels of a detached header.

    Only the headers that may be detached are opened.
    """
    suffix = path.suffix.lower()
    if suffix in (".hdr", ".img"):
        other = ".img" if suffix == ".hdr" else ".hdr"
        return (path.with_suffix(other.upper() if path.suffix.isupper() else other),)
    if suffix not in DATA_FILE or not path.is_file():
        return ()
    with path.open("rb") as file:
        named = DATA_FILE[suffix].search(file.read(_HEADER_BYTES))
    return () if named is None else (path.parent / named.group(1).decode(errors="replace"),)
