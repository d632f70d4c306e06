"""The verb that writes a dataset anew in another form."""

from typing import Literal

from tyro.conf import Positional

from lesionlab.cli.made_files import name_files
from lesionlab.cli.verbs import Data, Out


def convert(
    data: Data,
    form: Positional[Literal["nnunet_raw", "bids"]],
    out: Out,
    /,
    *,
    resample: bool = False,
) -> int:
    """Write a dataset as NIfTI in the folders of nnU-Net or of BIDS; the dataset itself stays as it is.

    Args:
        data: Layout and folder of the dataset.
        form: Which folders.
        out: New or empty folder, or that of an earlier conversion; finished cases are skipped.
        resample: Bring images and masks onto the grid of each case's first modality where they lie on another.
    """
    from lesionlab.workflows.convert import convert as run

    converted = run(data, form, out, resample=resample)
    return name_files(converted.files, failures=converted.failures)
