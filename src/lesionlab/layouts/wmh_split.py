"""The WMH Segmentation Challenge 2017 rearranged by split and modality, as SYNAPSE-Net reads it."""

from collections.abc import Iterator
from pathlib import Path

from lesionlab.core.case import Case, Modality, Split
from lesionlab.core.errors import LayoutError
from lesionlab.core.labels import Labels
from lesionlab.core.layout import layout
from lesionlab.layouts.dataset_options import read_options
from lesionlab.layouts.image_files import find_image, find_modalities, in_order, list_image_stems, visible
from lesionlab.layouts.wmh2017 import CITATION, LABELS

PARTS: dict[str, Split] = {
    "train/training": "training",
    "training": "training",
    "train/validation": "validation",
    "validation": "validation",
    "test/train": "test",
    "test": "test",
}
"""Every place where a split's modality folders may lie, and that split."""

WANTED = "folders train/training, train/validation or test/train with flair/<id>_flair.nii.gz and t1/<id>_t1.nii.gz"


@layout("wmh_split")
class WmhSplit:
    """One folder per split and modality: ``train/training/{flair,t1,<masks>}/<id>_{flair,t1,wmh}.nii.gz``.

    The validation cases lie in ``train/validation``, the test cases in ``test/train``; the outer ``train`` and the
    inner one of ``test`` may be left out. The folder of masks may have any name: it is the one whose files end in
    ``_wmh.nii.gz`` or ``_wmh.nii``.

    Args:
        folder: Where the dataset lies.

    Source: README and loaders of github.com/mubid-01/SYNAPSE-Net at commit e05116a.
    Differs: stored value 2 is ignored, as the challenge asks, where SYNAPSE-Net counts it as lesion.
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
            LayoutError: There is no case, two have one id, a case lacks a modality, or a split has two mask folders.
        """
        found = (case for part, split in PARTS.items() for case in self._cases_of(self.folder / part, split))
        yield from in_order(found, wanted=WANTED, folder=self.folder)

    def _cases_of(self, part: Path, split: Split) -> Iterator[Case]:
        masks = _mask_folder(part)
        listed = {modality: list_image_stems(part / modality, f"_{modality}") for modality in self.modalities}
        labelled = list_image_stems(masks, "_wmh") if masks else []
        for case_id in dict.fromkeys([*listed["flair"], *listed["t1"], *labelled]):
            yield Case(
                id=case_id,
                images=find_modalities(case_id, {name: part / name / f"{case_id}_{name}" for name in self.modalities}),
                label=find_image(masks / f"{case_id}_wmh") if masks else None,
                group=case_id,
                split=split,
            )


def _mask_folder(part: Path) -> Path | None:
    """Return the folder of `part` that holds masks, or None where no folder does."""
    found = [folder for folder in visible(part) if list_image_stems(folder, "_wmh")]
    if len(found) > 1:
        raise LayoutError(
            "one folder of masks",
            found=" and ".join(folder.name for folder in found),
            where=part,
            next_step="move all but one out of this folder",
        )
    return found[0] if found else None
