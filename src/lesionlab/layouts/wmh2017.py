"""The WMH Segmentation Challenge 2017 as its organisers distribute it."""

from collections.abc import Iterator
from pathlib import Path

from lesionlab.core.case import Case, Modality
from lesionlab.core.image_formats import VOLUME_ENDINGS
from lesionlab.core.labels import Labels
from lesionlab.core.layout import layout
from lesionlab.core.split_rule import split_fields
from lesionlab.layouts.dataset_options import read_options
from lesionlab.layouts.image_files import find_below, find_image, find_modalities, in_order
from lesionlab.layouts.tables import split_of_folders

LABELS = Labels(regions={"lesion": frozenset({1})}, ignored=frozenset({2}))
"""1 is a white-matter hyperintensity; 2 is other pathology, which the challenge leaves out of every score."""

CITATION = "Kuijf et al. 2019, IEEE Transactions on Medical Imaging 38(11):2556-2568, doi:10.1109/TMI.2019.2905770"


@layout("wmh2017")
class Wmh2017:
    """One folder per case: ``<site>[/<scanner>]/<id>/{pre/FLAIR.nii.gz, pre/T1.nii.gz, wmh.nii.gz}``.

    The sites lie in `folder` itself, or in its folders ``training``, ``validation`` and ``test``, which then give the
    split: the challenge has the first and the last, and whoever sets cases aside for validation moves their folders. A
    case's id is its path joined by underscores, such as ``Utrecht_0`` or ``Amsterdam_GE3T_100``.

    Args:
        folder: Where the dataset lies.
    """

    modalities: tuple[Modality, ...] = ("flair", "t1")
    labels: Labels = LABELS
    citation: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.citation = read_options(folder, used=()).citation or CITATION

    def cases(self) -> Iterator[Case]:
        """Yield every case in the order of its id; a case without a mask has no label.

        Raises:
            LayoutError: There is no case, two have one id, or a case lacks a modality.
        """
        found = (self._case(folder) for folder in self._case_folders())
        yield from in_order(found, wanted="folders <site>[/<scanner>]/<id>/pre/FLAIR.nii.gz", folder=self.folder)

    def _case_folders(self) -> set[Path]:
        """Return the folders that hold `pre` or a mask, at the depths where the challenge has cases."""
        marks = ("pre", *(f"wmh{ending}" for ending in VOLUME_ENDINGS))
        return {path.parent for mark in marks for path in find_below(self.folder, mark, depths=(2, 3, 4))}

    def _case(self, case_folder: Path) -> Case:
        parts = case_folder.relative_to(self.folder).parts
        split = split_of_folders(Path(parts[0]))
        named = parts[1:] if split else parts
        case_id = "_".join(named)
        stems = {"flair": case_folder / "pre" / "FLAIR", "t1": case_folder / "pre" / "T1"}
        return Case(
            id=case_id,
            images=find_modalities(case_id, stems),
            label=find_image(case_folder / "wmh"),
            group=case_id,
            site="/".join(named[:-1]),
            **split_fields(split),
        )
