"""ATLAS release 2.0: strokes that healed months ago, on T1, in the folders of BIDS."""

import re
from collections.abc import Iterator
from pathlib import Path

from lesionlab.core.case import Case, Modality
from lesionlab.core.labels import LESION, Labels
from lesionlab.core.layout import layout
from lesionlab.core.split_rule import split_fields
from lesionlab.layouts.dataset_options import read_options
from lesionlab.layouts.image_files import find_below, find_matching, in_order, no_image
from lesionlab.layouts.tables import split_of_folders

CITATION = "Liew et al. 2022, Scientific Data 9:320, doi:10.1038/s41597-022-01401-7"

COHORT = re.compile(r"sub-(r\d+)s\d+")


@layout("atlas_r2")
class AtlasR2:
    """ATLAS 2.0, healed strokes on T1, in the folders of BIDS.

    The files are ``[Training/R001/]<sub>/<ses>/anat/<sub>_<ses>_space-*_{T1w,label-L_desc-T1lesion_mask}.nii.gz``,
    where ``<sub>`` is such as ``sub-r001s001`` and ``<ses>`` such as ``ses-1``. The subjects lie in `folder` itself or
    up to three folders deeper; a folder ``Training`` or ``Testing`` among them gives the split (the masks of the second
    are hidden). A case's id is ``<sub>_<ses>``, its site the cohort in the subject's name (``R001``).

    Args:
        folder: Where the dataset lies.
    """

    modalities: tuple[Modality, ...] = ("t1",)
    labels: Labels = LESION
    citation: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.citation = read_options(folder, used=()).citation or CITATION

    def cases(self) -> Iterator[Case]:
        """Yield every case in the order of its id; a case without a mask, as all of ``Testing``, has no label.

        Raises:
            LayoutError: There is no case, two have one id, a case lacks its scan, or a name fits two images.
        """
        folders = find_below(self.folder, "sub-*/ses-*/anat", depths=range(4))
        found = (self._case(folder) for folder in folders if folder.is_dir())
        yield from in_order(found, wanted="folders sub-<X>/ses-<Y>/anat with T1w images", folder=self.folder)

    def _case(self, folder: Path) -> Case:
        session, subject = folder.parent.name, folder.parents[1].name
        case_id = f"{subject}_{session}"
        named = re.escape(case_id)
        scan = find_matching(folder, f"{named}(_.*)?_T1w", what="the T1 scan")
        if scan is None:
            raise no_image(case_id, "t1", named=f"{case_id}_*T1w.nii.gz or .nii", folder=folder)
        cohort = COHORT.fullmatch(subject)
        return Case(
            id=case_id,
            images={"t1": scan},
            label=find_matching(folder, f"{named}(_.*)?_label-(L|lesion)(_.*)?_mask", what="the lesion"),
            group=subject,
            site=cohort[1].upper() if cohort else "",
            **split_fields(split_of_folders(folder.relative_to(self.folder))),
        )
