"""The stacks of slices that a folder of DICOM files holds: its series, and the volumes within each of them."""

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from lesionlab.core.errors import ImageError
from lesionlab.layouts.dicom_headers import SliceHeader, headers_of, read_file
from lesionlab.layouts.image_files import visible
from lesionlab.layouts.series_modality import SeriesAttributes

DIRECTION_TOLERANCE = 0.05
"""How far the directions (unit vectors) of two slices may differ where both belong to one stack, or are meant to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Slices of one series that are meant to be one volume.

    Attributes:
        part: The series' identifier; behind a slash what tells the stack from others of the series ("b1000", "te90").
        slices: In the order of their files.
        planes: How many directions the slices of the whole series have.
    """

    part: str
    slices: tuple[SliceHeader, ...]
    planes: int = 1

    @property
    def first(self) -> SliceHeader:
        """Its first slice, whose header speaks for all."""
        return self.slices[0]

    @property
    def description(self) -> str:
        """What the scanner calls the series."""
        return self.first.text("SeriesDescription") or self.first.text("ProtocolName")

    @property
    def name(self) -> str:
        """The series as people call it: ``series 7 (t2_flair)``."""
        marks = [self.description, *self.part.split("/")[1:]]
        named = ", ".join(mark for mark in marks if mark)
        number = self.number if self.first.text("SeriesNumber") or not self.description else "series"
        return number + (f" ({named})" if named else "")

    @property
    def number(self) -> str:
        """The series by its number, or by its identifier where it has none, without any description."""
        return f"series {self.first.text('SeriesNumber') or self.series}"

    @property
    def is_coloured(self) -> bool:
        """Whether its pixels are colours, as in pictures of fibres."""
        return (self.first.number("SamplesPerPixel") or 1) > 1

    @property
    def series(self) -> str:
        """The identifier of its series."""
        return self.part.partition("/")[0]

    @property
    def attributes(self) -> SeriesAttributes:
        """What decides about its modality beside the description; enhanced files have elements of their own."""
        first = self.first
        agents = first.texts("ContrastBolusAgent") or first.code_meanings("ContrastBolusAgentSequence")
        return SeriesAttributes(
            image_type=tuple(value.upper() for value in _image_type(first)),
            agent=" ".join(agents),
            b_value=first.number("DiffusionBValue"),
            sequence=frozenset(
                value.upper() for keyword in ("ScanningSequence", "SequenceVariant") for value in first.texts(keyword)
            ),
            inversion_ms=first.number("InversionTime") or first.number("InversionTimes"),
            echo_ms=_echo_ms(first),
            repetition_ms=first.number("RepetitionTime"),
            contrast=first.text("AcquisitionContrast").upper(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a folder of files holds.

    Attributes:
        stacks: In the order of their parts.
        others: Files of DICOM that are no scans, and what they are.
        broken: Why files cannot be read, in the order of their names.
    """

    stacks: tuple[Stack, ...]
    others: dict[Path, str]
    broken: tuple[ImageError, ...]


def find_stacks(folder: Path) -> Contents:
    """Return the stacks in the files of a folder, not looking below it; files that are no DICOM are left alone.

    Series are told apart by their identifier, and within one series by the direction of the slices; where slices lie at
    one place, also by kind of image, echo time and b-value. Slices at one place that differ in none of them (time
    points) stay in one stack, which nobody can read.

    Raises:
        OptionError: pydicom is not installed.
    """
    series: dict[str, list[SliceHeader]] = {}
    others: dict[Path, str] = {}
    broken: list[ImageError] = []
    for path in (path for path in visible(folder) if path.is_file()):
        try:
            content = read_file(path)
            headers = [] if content is None else headers_of(content, path)
        except ImageError as error:
            broken.append(error)
            continue
        for header in headers:
            if header.no_scan:
                others[path] = header.no_scan
            else:
                series.setdefault(header.text("SeriesInstanceUID"), []).append(header)
    stacks = [stack for uid, headers in sorted(series.items()) for stack in _divide(uid, headers)]
    return Contents(stacks=tuple(stacks), others=others, broken=tuple(broken))


def find_heads(folder: Path) -> Contents:
    """Return the stacks of a folder with only their first slices; headers are read again only when a file has changed.

    Raises:
        OptionError: pydicom is not installed.
    """
    facts = ((path.name, path.stat()) for path in visible(folder) if path.is_file())
    return _find_heads(folder, tuple((name, fact.st_size, fact.st_mtime_ns) for name, fact in facts))


@lru_cache(maxsize=2**14)
def _find_heads(folder: Path, files: tuple[tuple[str, int, int], ...]) -> Contents:  # noqa: ARG001  # files are the key
    """Return what `find_heads` does; name, bytes and time of the files tell whether it is still true."""
    contents = find_stacks(folder)
    return replace(contents, stacks=tuple(replace(stack, slices=stack.slices[:1]) for stack in contents.stacks))


def _divide(uid: str, headers: Sequence[SliceHeader]) -> list[Stack]:
    """Return the stacks of one series."""
    planes = _by_direction(headers)
    stacks = []
    for number, plane in enumerate(planes, start=1):
        marks = [f"plane{number}"] if len(planes) > 1 else []
        for group, more in _by_kind(plane):
            stacks.append(Stack(part="/".join([uid, *marks, *more]), slices=tuple(group), planes=len(planes)))
    return stacks


def _by_direction(headers: Sequence[SliceHeader]) -> list[list[SliceHeader]]:
    planes: list[tuple[np.ndarray, list[SliceHeader]]] = []
    for header in headers:
        directions = _numbers(header, "ImageOrientationPatient", count=6)
        for first, plane in planes:
            if first.shape == directions.shape and np.abs(first - directions).max(initial=0) <= DIRECTION_TOLERANCE:
                plane.append(header)
                break
        else:
            planes.append((directions, [header]))
    return [plane for _, plane in sorted(planes, key=lambda pair: tuple(-pair[0]))]


def _by_kind(headers: list[SliceHeader]) -> list[tuple[list[SliceHeader], list[str]]]:
    """Return one group where all slices have places of their own; else one for each kind of image there."""
    places = {tuple(np.round(_numbers(header, "ImagePositionPatient", count=3), 2)) for header in headers}
    if len(places) == len(headers):
        return [(headers, [])]
    groups: dict[tuple[Hashable, ...], list[SliceHeader]] = {}
    varying = [mark for mark in MARKS if len({mark(header) for header in headers}) > 1]
    for header in headers:
        groups.setdefault(tuple(mark(header) for mark in varying), []).append(header)
    return [(groups[key], [str(mark) for mark in key]) for key in sorted(groups, key=str)]


def _image_type(header: SliceHeader) -> tuple[str, ...]:
    return header.texts("FrameType") or header.texts("ImageType")


def _echo_ms(header: SliceHeader) -> float | None:
    own = header.number("EchoTime")
    return header.number("EffectiveEchoTime") if own is None else own


def _type_mark(header: SliceHeader) -> str:
    return re.sub(r"[^A-Za-z0-9-]+", "-", "-".join(_image_type(header)[2:])).lower() or "image"


def _echo_mark(header: SliceHeader) -> str:
    echo = _echo_ms(header)
    return "te" if echo is None else f"te{echo:g}"


def _b_mark(header: SliceHeader) -> str:
    b_value = header.number("DiffusionBValue")
    return "b" if b_value is None else f"b{b_value:g}"


MARKS: tuple[Callable[[SliceHeader], str], ...] = (_type_mark, _echo_mark, _b_mark)


def _numbers(header: SliceHeader, keyword: str, *, count: int) -> np.ndarray:
    """Return the numbers of an element, none where they cannot be read: who reads the slice will say so."""
    try:
        return np.array(header.numbers(keyword, count=count))
    except ImageError:
        return np.array([])
