"""What somebody may say about a dataset in its own file, ``lesionlab.toml``, for layouts that leave it open."""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lesionlab.core.errors import LayoutError
from lesionlab.core.labels import Labels
from lesionlab.core.names import FileName
from lesionlab.core.text_files import read_toml

FILE = "lesionlab.toml"

OF_ANY_LAYOUT = ("citation", "licence")
"""The options that every layout's folder may state."""
_Channel: TypeAlias = Annotated[int, Field(ge=0, le=255)]
Colour: TypeAlias = tuple[_Channel, _Channel, _Channel]


class DatasetOptions(BaseModel):
    """The content of ``lesionlab.toml``; everything may be left out, and nothing else may be in it.

    Attributes:
        modalities: Name of each modality and the pattern (``*`` and ``?`` as in a shell) that finds its images.
        channels: Names of the channels of a picture, or of the images in a list, in their order.
        mask: The pattern that finds masks.
        images: Name of the folder of images.
        masks: Name of the folder of masks.
        file: Name of the list or table to read, where the folder has several.
        fold: The fold that validates, counted from 0.
        patient: Regular expression whose first group, found at the start of a case's name, is the patient.
        regions: Name of each region and the stored values that belong to it.
        ignored: Stored values that must not count.
        lesion_above: Every number of a mask above this is lesion, every other is not.
        colours: Red, green and blue, 0 to 255, of each region in masks that are coloured pictures.
        citation: Paper, DOI or address of the dataset; any layout's folder may state it, like the next.
        licence: Under which the dataset may be used.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    modalities: dict[FileName, str] = {}
    channels: tuple[FileName, ...] = ()
    mask: str = ""
    images: str = ""
    masks: str = ""
    file: str = ""
    fold: int = Field(default=0, ge=0)
    patient: str = ""
    regions: dict[FileName, frozenset[int]] = {}
    ignored: frozenset[int] = frozenset()
    lesion_above: float | None = None
    colours: dict[FileName, Colour] = {}
    citation: str = ""
    licence: str = ""

    def labels(self, default: Labels) -> Labels:
        """Return what masks mean: as the file says, and as `default` where it says nothing.

        Raises:
            LayoutError: A colour belongs to no region, or two regions have one colour.
        """
        if self.colours:
            return self._coloured_labels()
        if self.regions:
            return Labels(regions=dict(self.regions), ignored=self.ignored, lesion_above=self.lesion_above)
        given = self.model_fields_set & {"ignored", "lesion_above"}
        return replace(default, **{name: getattr(self, name) for name in given})

    def _coloured_labels(self) -> Labels:
        """Return one stored value per colour, in their order, unless the file says the values of the regions."""
        numbered = {name: frozenset({value}) for value, name in enumerate(self.colours, start=1)}
        regions = dict(self.regions) or numbered
        if set(self.colours) - set(regions) or len(set(self.colours.values())) < len(self.colours):
            raise LayoutError(
                "a colour of its own for each region",
                found=", ".join(f"{name} = {list(colour)}" for name, colour in self.colours.items()),
                where=FILE,
                next_step="correct colours or regions",
            )
        return Labels(regions=regions, ignored=self.ignored, colours=dict(self.colours))

    def patient_of(self, name: str, *, folder: Path) -> str:
        """Return the patient in a case's name; the name itself where no pattern was given.

        Raises:
            LayoutError: The pattern does not match the name.
        """
        if not self.patient:
            return name
        found = re.match(self.patient, name)
        if found is None:
            raise LayoutError(
                f"names that begin as patient = {self.patient!r} says",
                found=repr(name),
                where=folder / FILE,
                next_step="correct the pattern: a patient in two splits would spoil every score",
            )
        return found.group(1)


def read_options(folder: Path, *, used: Collection[str]) -> DatasetOptions:
    """Read the options of the dataset in `folder`; the defaults where it has no ``lesionlab.toml``.

    Args:
        folder: Of the dataset.
        used: The options that the layout knows beside `OF_ANY_LAYOUT`.

    Raises:
        LayoutError: The file is no TOML, has an option that the layout does not know, or a value of the wrong kind.
    """
    path = folder / FILE
    if not path.is_file():
        return DatasetOptions()
    try:
        content = read_toml(path)
        options = DatasetOptions.model_validate(content)
        _check_pattern(options.patient)
    except (OSError, ValueError, re.error) as error:
        raise LayoutError(
            "a TOML file of options",
            found=reason_of(error),
            where=path,
            next_step="see docs/layouts.md for its options",
        ) from error
    _check_used(content, used={*used, *OF_ANY_LAYOUT}, path=path)
    return options


def reason_of(error: Exception) -> str:
    """Return in one line why a file did not read: of several reasons the first."""
    if not isinstance(error, ValidationError):
        return str(error).partition("\n")[0]
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


def _check_pattern(pattern: str) -> None:
    if pattern and re.compile(pattern).groups < 1:
        raise ValueError(f"patient = {pattern!r} without a group in parentheses")


def _check_used(content: Mapping[str, object], *, used: Collection[str], path: Path) -> None:
    unused = sorted(set(content) - set(used))
    if unused:
        raise LayoutError(
            "options that this layout knows",
            found=", ".join(unused),
            where=path,
            next_step=f"take it out, or use one of {', '.join(sorted(used))}",
        )
