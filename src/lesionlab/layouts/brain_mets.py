"""Brain-Mets-Lung-MRI-Path-Segs: brain metastases of lung cancer, from The Cancer Imaging Archive."""

from collections.abc import Iterator
from pathlib import Path

from lesionlab.core.case import Case, Modality
from lesionlab.core.errors import LayoutError
from lesionlab.core.labels import Labels
from lesionlab.core.layout import layout
from lesionlab.core.split_rule import split_fields
from lesionlab.layouts.dataset_options import read_options
from lesionlab.layouts.image_files import describe, find_below, find_matching, in_order
from lesionlab.layouts.tables import split_of_folders

LABELS = Labels(regions={"lesion": frozenset({1})}, lesion_above=0.5)
"""The whole lesion, oedema included; any positive value counts."""

CITATION = "Chadha et al. 2025, The Cancer Imaging Archive, version 2, doi:10.7937/k0sm-y874"

PATTERNS: dict[Modality, str] = {"t1ce": "(?!.*seg).*t1ce.*", "flair": "(?!.*seg).*flair.*"}
MASK = ".*whole_seg.*"

WANTED = "one folder per patient with *t1ce*.nii.gz, *flair*.nii.gz and *whole_seg*.nii.gz"


@layout("brain_mets")
class BrainMets:
    """Brain-Mets-Lung-MRI-Path-Segs, brain metastases on T1ce and FLAIR: a folder per patient.

    The files are ``<id>/{*t1ce*,*flair*,*whole_seg*}.nii.gz``, in capitals or not. The folders lie in `folder` or in a
    folder of it. A patient may lack T1ce or FLAIR; the case then has the other. Masks of parts of the lesion
    (``*core_seg*``) are left alone. The authors gave no split; a folder ``train``, ``validation`` or ``test`` does.

    Args:
        folder: Where the dataset lies.
    """

    modalities: tuple[Modality, ...] = tuple(PATTERNS)
    labels: Labels = LABELS
    citation: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.citation = read_options(folder, used=()).citation or CITATION

    def cases(self) -> Iterator[Case]:
        """Yield every case in the order of its id; a case without a mask has no label.

        Raises:
            LayoutError: There is no case, two have one id, a mask is without images, or a name fits two images.
        """
        found = (self._case(folder) for folder in find_below(self.folder, "*", depths=(0, 1)) if folder.is_dir())
        yield from in_order((case for case in found if case), wanted=WANTED, folder=self.folder)

    def _case(self, folder: Path) -> Case | None:
        found = {name: find_matching(folder, pattern, what=name) for name, pattern in PATTERNS.items()}
        images = {name: path for name, path in found.items() if path is not None}
        label = find_matching(folder, MASK, what="the whole lesion")
        if label is not None and not images:
            raise LayoutError(
                f"an image of modality 't1ce' or 'flair' for case {folder.name!r}",
                found=describe(folder),
                where=folder,
                next_step="add the image, or take the case out of the folder",
            )
        if not images:
            return None
        split = split_fields(split_of_folders(folder.relative_to(self.folder)))
        return Case(id=folder.name, images=images, label=label, group=folder.name, **split)
