"""Series of DICOM files as a scanner would export them, made of a volume."""

from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def write_series(
    folder: Path,
    volume: np.ndarray,
    *,
    description: str = "t1_mprage",
    kind: str = "MR",
    study: str = "1.2.3",
    first_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0),
    orientation: tuple[float, ...] = AXIAL,
    slope: float = 1.0,
    intercept: float = 0.0,
) -> list[Path]:
    """Write one file per slice of `volume` (column, row, slice), in an order that is not that of the slices.

    Positions run along the normal of `orientation`, in LPS. Return the files from the first slice to the last.
    """
    folder.mkdir(parents=True, exist_ok=True)
    normal = np.cross(orientation[:3], orientation[3:])
    series = generate_uid(entropy_srcs=[str(folder)])
    paths = []
    for number in range(volume.shape[2]):
        one = Dataset()
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.file_meta.MediaStorageSOPClassUID = one.SOPClassUID = MRImageStorage
        one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID = f"{series[:50]}.{number}"
        one.Modality, one.SeriesDescription = kind, description
        one.SeriesInstanceUID, one.StudyInstanceUID = series, study
        one.PatientName, one.PatientID = "Canary^Anna", "canary-1"
        one.InstanceNumber = number + 1
        one.ImagePositionPatient = [float(value) for value in np.array(first_mm) + normal * number * spacing_mm[2]]
        one.ImageOrientationPatient = list(orientation)
        one.PixelSpacing = [spacing_mm[1], spacing_mm[0]]
        one.SliceThickness = spacing_mm[2]
        one.Columns, one.Rows = volume.shape[:2]
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated = one.BitsStored = 16
        one.HighBit, one.PixelRepresentation = 15, 1
        one.RescaleSlope, one.RescaleIntercept = slope, intercept
        one.PixelData = np.ascontiguousarray(volume[:, :, number].T.astype(np.int16)).tobytes()
        paths.append(folder / f"{(number * 670) % 997:03d}.dcm")
        one.save_as(paths[-1], enforce_file_format=True)
    return paths


def write_raw(path: Path, keyword: str, value: bytes, *, kind: str = "DS") -> None:
    """Put the bytes of an element into a file as they are, however wrong."""
    one = dcmread(path)
    padded = value + b" " * (len(value) % 2)
    one[keyword] = RawDataElement(Tag(keyword), kind, len(padded), padded, 0, False, True)
    one.save_as(path)


def change(path: Path, **values: object) -> None:
    """Set elements of a file; None takes one out."""
    one = dcmread(path)
    for keyword, value in values.items():
        if value is None:
            delattr(one, keyword)
        else:
            setattr(one, keyword, value)
    one.save_as(path)


def write_enhanced(path: Path, volumes: list[np.ndarray], *, b_values: tuple[float, ...] = (), **own: object) -> None:
    """Write volumes of one grid (column, row, slice) into one file with a place per frame, the last slice first."""
    first = dcmread(write_series(path.parent / "source", volumes[0])[0])
    frames = [(volume, number) for volume in range(len(volumes)) for number in reversed(range(volumes[0].shape[2]))]
    first.PerFrameFunctionalGroupsSequence = [Dataset() for _ in frames]
    for group, (volume, number) in zip(first.PerFrameFunctionalGroupsSequence, frames, strict=True):
        place = Dataset()
        place.ImagePositionPatient = [0.0, 0.0, 2.0 * number]
        group.PlanePositionSequence = [place]
        if b_values:
            diffusion = Dataset()
            diffusion.DiffusionBValue = b_values[volume]
            group.MRDiffusionSequence = [diffusion]
    shared, direction, measures = Dataset(), Dataset(), Dataset()
    direction.ImageOrientationPatient = list(AXIAL)
    measures.PixelSpacing, measures.SliceThickness = [1.0, 1.0], 2.0
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [direction], [measures]
    first.SharedFunctionalGroupsSequence = [shared]
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(first, keyword)
    first.NumberOfFrames = len(frames)
    first.PixelData = b"".join(volumes[v][:, :, n].T.astype(np.int16).tobytes() for v, n in frames)
    for keyword, value in own.items():
        setattr(first, keyword, value)
    first.save_as(path)
    for old in (path.parent / "source").iterdir():
        old.unlink()
    (path.parent / "source").rmdir()
