"""ATLAS release 1.1: strokes that healed months ago, on T1."""

import re
from collections.abc import Iterator
from pathlib import Path

from lesionlab.core.case import Case, Modality
from lesionlab.core.errors import LayoutError
from lesionlab.core.labels import Labels
from lesionlab.core.layout import layout
from lesionlab.core.split_rule import split_fields
from lesionlab.layouts.dataset_options import read_options
from lesionlab.layouts.image_files import find_below, find_image, find_matching, in_order, list_image_stems, no_image
from lesionlab.layouts.tables import split_of_folders

LABELS = Labels(regions={"main": frozenset({1}), "sub": frozenset({2})}, lesion_above=0.5)
"""1 is the primary lesion; 2 is what only a further mask marks. The files hold 0.9999999998, 254, 255 and the like."""

CITATION = "Liew et al. 2018, Scientific Data 5:180011, doi:10.1038/sdata.2018.11"

SESSION = re.compile(r"t\d+")
SCAN = r".+_t1w(_deface)?_stx"
PRIMARY = r".+_LesionSmooth_stx"
FURTHER = re.compile(r".+_LesionSmooth_\d+_stx")

WANTED = "folders <site>/<patient>/[t01/] with <id>_t1w_deface_stx.nii.gz and <id>_LesionSmooth_stx.nii.gz"


@layout("atlas_r1")
class AtlasR1:
    """ATLAS 1.1, healed strokes on T1: a folder per site, patient and time point.

    The files are ``<site>/<patient>/[t01/]<id>_{t1w_deface,LesionSmooth,LesionSmooth_1}_stx.nii.gz``. The masks of a
    scan are one primary mask and perhaps further ones, ``_1``, ``_2`` and so on. The primary mask is the region
    ``main``; the union of all further ones is ``sub`` where the primary does not mark. A case's id is
    ``<patient>_<session>``; both time points of a patient are one group. The sites lie in `folder` itself or one folder
    deeper. The release has no split; a folder ``train``, ``validation`` or ``test`` around the sites gives one.

    Args:
        folder: Where the dataset lies.
    """

    modalities: tuple[Modality, ...] = ("t1",)
    labels: Labels = LABELS
    citation: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.citation = read_options(folder, used=()).citation or CITATION

    def cases(self) -> Iterator[Case]:
        """Yield every case in the order of its id; a case without a mask has no label.

        Raises:
            LayoutError: There is no case, two have one id, a case lacks its scan, a name fits two images, or there
                are further masks without a primary one.
        """
        names = ("*_t1w*_stx.*", "*_LesionSmooth*_stx.*")
        folders = {path.parent for name in names for path in find_below(self.folder, name, depths=range(1, 5))}
        yield from in_order(map(self._case, folders), wanted=WANTED, folder=self.folder)

    def _case(self, folder: Path) -> Case:
        patient = folder.parent if SESSION.fullmatch(folder.name) and folder.parent != self.folder else folder
        case_id = patient.name if patient == folder else f"{patient.name}_{folder.name}"
        scan = find_matching(folder, SCAN, what="the T1 scan")
        if scan is None:
            raise no_image(case_id, "t1", named="<id>_t1w_deface_stx.nii.gz or .nii", folder=folder)
        primary = find_matching(folder, PRIMARY, what="the primary lesion")
        return Case(
            id=case_id,
            images={"t1": scan},
            label=primary,
            group=patient.name,
            site=patient.parent.name if patient.parent != self.folder else "",
            further_labels=_further_masks(folder, has_primary=primary is not None),
            **split_fields(split_of_folders(folder.relative_to(self.folder))),
        )


def _further_masks(folder: Path, *, has_primary: bool) -> tuple[Path, ...]:
    stems = [stem for stem in list_image_stems(folder, "") if FURTHER.fullmatch(stem)]
    found = [find_image(folder / stem) for stem in stems]
    if stems and not has_primary:
        raise LayoutError(
            "a primary mask <id>_LesionSmooth_stx.nii.gz beside further ones",
            found=", ".join(stems),
            where=folder,
            next_step="add the primary mask, or remove the further ones",
        )
    return tuple(path for path in found if path is not None)
