"""A dataset whose cases have the parts that a split file gives them."""

from collections.abc import Iterator
from pathlib import Path

from lesionlab.core.case import Case
from lesionlab.core.errors import OptionError
from lesionlab.core.layout import Layout
from lesionlab.core.split import divide, read_split
from lesionlab.layouts.opening import open_layout


class DividedLayout:
    """A layout whose cases are those of a split file, each in the part and of the patient that the file gives.

    Args:
        layout: Where the cases are.
        file: The split file.
        fold: As in `lesionlab.core.split.divide`.
    """

    def __init__(self, layout: Layout, file: Path, *, fold: int | None) -> None:
        self.folder = layout.folder
        self.modalities = layout.modalities
        self.labels = layout.labels
        self.citation = layout.citation
        self._layout = layout
        self._file = file
        self._fold = fold

    def cases(self) -> Iterator[Case]:
        """Yield the cases of the split file, in its order.

        Raises:
            SplitError: The file cannot be used for these cases.
            LayoutError: As the layout.
        """
        table = read_split(self._file)
        yield from divide(tuple(self._layout.cases()), table, where=self._file, fold=self._fold)


def open_divided(data: str, split_file: Path | None, *, fold: int | None = None) -> tuple[str, Layout]:
    """Return the layout's name and the layout of "LAYOUT:FOLDER", divided by a split file if there is one.

    Raises:
        LayoutError: As `open_layout`.
        NameUnknownError: No layout has this name.
        OptionError: A fold is given without a split file.
    """
    name, layout = open_layout(data)
    if split_file is not None:
        return name, DividedLayout(layout, split_file, fold=fold)
    if fold is not None:
        raise OptionError(
            "a split file, which knows the folds",
            found=f"--fold {fold} alone",
            where="--split-file",
            next_step="make one (lesionlab split) and give it as --split-file",
        )
    return name, layout
