"""Headers of DICOM files: which files are images, and their values as scanners really write them."""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lesionlab.core.errors import ImageError, OptionError

TAGS: tuple[str, ...] = (
    "SpecificCharacterSet", "SOPClassUID", "Modality", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber",
    "SeriesDescription", "ProtocolName", "ImageType", "ContrastBolusAgent", "DiffusionBValue", "ScanningSequence",
    "SequenceVariant", "InversionTime", "EchoTime", "RepetitionTime", "AcquisitionContrast", "Rows", "Columns",
    "SamplesPerPixel", "NumberOfFrames", "ImagePositionPatient", "ImageOrientationPatient",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "ContrastBolusAgentSequence",
)  # fmt: skip
"""What is read of a file when nobody asks for its pixels; nothing that identifies a person."""

NO_SCANS: dict[str, str] = {
    "SR": "a report", "DOC": "a document", "PR": "a presentation state", "KO": "a selection of keys", "SEG": "a mask",
    "RTSTRUCT": "contours", "RTDOSE": "a dose", "RTPLAN": "a treatment plan", "RTIMAGE": "a treatment image",
    "RTRECORD": "a treatment record", "REG": "a registration", "FID": "fiducials", "OT": "a screenshot",
    "AU": "audio", "ECG": "an ECG", "SC": "a screenshot", "PLAN": "a plan", "RWV": "a value map", "M3D": "a model",
    "ASMT": "an assessment", "ANN": "annotations", "HD": "a waveform", "POS": "positions", "RESP": "a waveform",
}  # fmt: skip
"""Values of Modality that name no scan."""

SOP_ROOT = "1.2.840.10008."
NO_SCAN_CLASSES: dict[str, str] = {
    "1.3.10": "an index of files", "5.1.4.1.1.4.2": "spectroscopy", "5.1.4.1.1.9": "a waveform",
    "5.1.4.1.1.11": "a presentation state", "5.1.4.1.1.66": "a mask, registration or raw data",
    "5.1.4.1.1.67": "a value map", "5.1.4.1.1.68": "a surface scan", "5.1.4.1.1.88": "a report",
    "5.1.4.1.1.90": "an assessment", "5.1.4.1.1.91": "annotations", "5.1.4.1.1.104": "a document",
    "5.1.4.1.1.481": "a radiotherapy object", "5.1.4.1.1.200": "a plan", "5.1.4.34": "a radiotherapy object",
}  # fmt: skip
"""Beginnings of SOP classes, behind DICOM's own root, that are no scans."""

SECONDARY_CAPTURE = "5.1.4.1.1.7"
PLACE = ("ImagePositionPatient", "ImageOrientationPatient")

KIND_OF_CLASS = {"5.1.4.1.1.2": "CT", "5.1.4.1.1.4": "MR", "5.1.4.1.1.128": "PT", "5.1.4.1.1.20": "NM"}
"""SOP classes of scans, and the Modality that they have."""

PARSED = frozenset({"US", "SS", "UL", "SL", "FL", "FD", "LO", "SH", "LT", "ST", "UC", "UT"})
"""Kinds of values that pydicom reads as they are: binary numbers, and texts in the file's own character set."""

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceHeader:
    """The header of one slice: a file, or one frame of a file with several.

    Attributes:
        path: Of the file.
        frame: Number of the frame from 0 on, or None where the file is one slice.
        sources: Where values are looked up, the most specific first: a frame's own groups, those of all frames, the
            file's header.
    """

    path: Path
    frame: int | None
    sources: tuple[Any, ...]

    def text(self, keyword: str) -> str:
        """Return the first value of an element as text, or an empty string."""
        return next(iter(self.texts(keyword)), "")

    def texts(self, keyword: str) -> tuple[str, ...]:
        """Return the values of an element as text without spaces around them; none where it is missing or empty."""
        holders = (source for source in self.sources if keyword in source)
        holder = next(holders, None)
        return () if holder is None else _texts(holder, keyword)

    def numbers(self, keyword: str, *, count: int) -> tuple[float, ...]:
        """Return the values of an element as finite numbers; none where it is missing or empty.

        A decimal comma is read as a point where it can be nothing else.

        Raises:
            ImageError: It has another count of values, or one of them is no finite number.
        """
        texts = self.texts(keyword)
        numbers = as_numbers(texts, count=count)
        if texts and numbers is None:
            raise self.refuse(keyword, f"{count} number{'s' * (count > 1)}")
        return numbers or ()

    def number(self, keyword: str) -> float | None:
        """Return the first value as a number, or None where it is missing or none."""
        return next(iter(as_numbers(self.texts(keyword)[:1], count=1) or ()), None)

    def code_meanings(self, keyword: str) -> tuple[str, ...]:
        """Return what the items of a sequence of codes mean."""
        items = next((source[keyword].value for source in self.sources if keyword in source), ())
        return tuple(str(item.get("CodeMeaning") or "") for item in items or ())

    def refuse(self, keyword: str, wanted: str) -> ImageError:
        """Return the refusal of a file for one of its elements."""
        from pydicom.datadict import tag_for_keyword

        tag = tag_for_keyword(keyword) or 0
        return ImageError(
            f"{wanted} as {keyword} ({tag >> 16:04X},{tag & 0xFFFF:04X})",
            found=repr("\\".join(self.texts(keyword))) if self.texts(keyword) else "nothing",
            where=self.path,
            next_step="export the series again, or correct this element",
        )

    @property
    def storage_class(self) -> str:
        """The SOP class behind DICOM's own root, such as ``5.1.4.1.1.4`` for an MR image."""
        return (self.text("SOPClassUID") or self.text("MediaStorageSOPClassUID")).removeprefix(SOP_ROOT)

    @property
    def kind(self) -> str:
        """DICOM's Modality, that of the SOP class where it is missing."""
        return self.text("Modality").upper() or _of_class(self.storage_class, KIND_OF_CLASS)

    @property
    def no_scan(self) -> str:
        """What the file is where it is no scan ("a report"), or an empty string."""
        named = _of_class(self.storage_class, NO_SCAN_CLASSES) or NO_SCANS.get(self.kind, "")
        if named:
            return named
        is_of_scans = not self.storage_class or bool(_of_class(self.storage_class, KIND_OF_CLASS))
        if not is_of_scans and not self.texts("Rows"):
            return "an object without pixels"
        is_placed = all(self.texts(keyword) for keyword in PLACE)
        is_captured = _begins(self.storage_class, SECONDARY_CAPTURE) and not is_placed
        return "a screenshot" if is_captured or "SCREEN SAVE" in self.texts("ImageType") else ""


def as_numbers(texts: Sequence[str], *, count: int) -> tuple[float, ...] | None:
    """Return so many numbers, or None where the texts are not clearly that: commas may be points or dividers."""
    if len(texts) == 1 and count > 1:
        pieces = [piece.strip() for piece in texts[0].split(",")]
        is_clear = count > 2 or "." in texts[0]  # "0,5" may be one number or two
        texts = pieces if is_clear else texts
    plain = [text.replace(",", ".") if "." not in text else text for text in texts]
    if len(plain) != count or not all(NUMBER.fullmatch(text) for text in plain):
        return None
    numbers = tuple(float(text) for text in plain)
    return numbers if all(abs(number) < 1e30 for number in numbers) else None


def read_file(path: Path, *, with_pixels: bool = False) -> Any | None:
    """Return the content of a DICOM file, with or without its preamble; None for a file of another kind.

    Raises:
        OptionError: pydicom is not installed.
        ImageError: The file is DICOM and broken.
    """
    try:
        from pydicom import dcmread
        from pydicom.errors import InvalidDicomError
    except ImportError as error:
        raise OptionError(
            "the package pydicom", found="that it is not installed", where=path.parent,
            next_step="pip install 'lesionlab[dicom]'",
        ) from error  # fmt: skip
    read = partial(dcmread, stop_before_pixels=not with_pixels, specific_tags=None if with_pixels else list(TAGS))
    try:
        with warnings.catch_warnings(action="ignore"):  # values that break the standard are judged where they are used
            try:
                return read(path)
            except InvalidDicomError:
                return _without_preamble(read(path, force=True)) if _may_be_dicom(path) else None
    except Exception as error:  # the parser meets damage with errors of many kinds
        raise ImageError(
            "a whole DICOM file", found=f"a broken one ({type(error).__name__})", where=path,
            next_step="copy or export the file again",
        ) from error  # fmt: skip


def headers_of(content: Any, path: Path) -> list[SliceHeader]:
    """Return the header of each slice in a file: one, or one per frame of an enhanced file.

    Raises:
        ImageError: The file is a scan whose header ends before it says how large it is.
    """
    frames = content.get("PerFrameFunctionalGroupsSequence")
    whole = (content, content.file_meta)
    if not frames:
        only = SliceHeader(path=path, frame=None, sources=whole)
        if not only.no_scan and not only.texts("Rows"):
            raise ImageError(
                "a whole DICOM file",
                found="one that was cut off",
                where=path,
                next_step="copy or export the file again",
            )
        return [only]
    shared = [*_groups(content.get("SharedFunctionalGroupsSequence")), *whole]
    return [
        SliceHeader(path=path, frame=number, sources=(*_groups([frame]), *shared))
        for number, frame in enumerate(frames)
    ]


def _groups(items: Any) -> list[Any]:
    """Return every item of every sequence in functional groups."""
    return [item for group in items or () for element in group if element.VR == "SQ" for item in element.value]


def _of_class(storage_class: str, names: dict[str, str]) -> str:
    return next((name for begin, name in names.items() if _begins(storage_class, begin)), "")


def _begins(uid: str, begin: str) -> bool:
    return uid == begin or uid.startswith(f"{begin}.")


def _may_be_dicom(path: Path) -> bool:
    """Return whether a file without preamble begins with a group of DICOM's and an element of it."""
    with path.open("rb") as file:
        head = file.read(8)
    return head[:2] in (b"\x02\x00", b"\x08\x00") and head[3:4] == b"\x00" and len(head) == 8


def _without_preamble(content: Any) -> Any | None:
    """Return what was read of a file that does not say that it is DICOM, if it is: it must name its class."""
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if not str(content.get("SOPClassUID") or "").startswith(SOP_ROOT):
        return None
    is_implicit, is_little = content.original_encoding
    if "TransferSyntaxUID" not in content.file_meta:
        explicit = ExplicitVRLittleEndian if is_little else ExplicitVRBigEndian
        content.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if is_implicit else explicit
    return content


def _texts(holder: Any, keyword: str) -> tuple[str, ...]:
    """Return an element's values before any parser has judged them."""
    from pydicom.datadict import dictionary_VR

    item = holder.get_item(keyword)
    raw = getattr(item, "value", None)
    kind = getattr(item, "VR", None) or dictionary_VR(keyword)
    if isinstance(raw, bytes) and kind not in PARSED:
        values: Sequence[Any] = raw.decode("utf-8", errors="replace").split("\\")
    else:
        with warnings.catch_warnings(action="ignore"):
            value = holder[keyword].value
        is_several = not isinstance(value, str | bytes) and hasattr(value, "__iter__")
        values = list(value) if is_several else [] if value is None else str(value).split("\\")
    texts = tuple(str(value).strip(" \0\n\r\t") for value in values)
    return texts if any(texts) else ()
