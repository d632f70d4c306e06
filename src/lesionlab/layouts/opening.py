"""A dataset as users name it: LAYOUT:FOLDER."""

from pathlib import Path

from lesionlab.core.errors import LayoutError
from lesionlab.core.layout import Layout, layout


def open_layout(data: str) -> tuple[str, Layout]:
    """Return the layout's name and the layout itself from "LAYOUT:FOLDER".

    Raises:
        LayoutError: The text has no colon, or the folder does not exist.
        NameUnknownError: No layout has this name.
    """
    name, colon, folder = data.partition(":")
    if not colon or not folder:
        raise LayoutError(
            "LAYOUT:FOLDER, such as wmh2017:/data/wmh", found=repr(data), where="the data argument",
            next_step="put the layout's name and a colon before the folder (lesionlab list layouts)",
        )  # fmt: skip
    path = Path(folder).expanduser()
    maker = layout.get(name)
    if not path.is_dir():
        raise LayoutError("a folder", found="none", where=path, next_step="check the path")
    return name, maker(folder=path)
