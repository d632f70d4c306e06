"""The Medical Segmentation Decathlon, and datasets in its form."""

from collections.abc import Iterator
from pathlib import Path

from lesionlab.core.case import Case, Modality, Split
from lesionlab.core.image_formats import stem_of
from lesionlab.core.labels import Labels
from lesionlab.core.layout import layout
from lesionlab.layouts.dataset_json import FILE, read_dataset_json
from lesionlab.layouts.dataset_options import read_options
from lesionlab.layouts.image_files import in_order
from lesionlab.layouts.listed_files import listed_file

CITATION = "Antonelli et al. 2022, Nature Communications 13:4128, doi:10.1038/s41467-022-30695-9"


@layout("msd")
class Msd:
    """One file per case: ``imagesTr/<id>.nii.gz``, ``labelsTr/<id>.nii.gz``, all listed in ``dataset.json``.

    Where ``dataset.json`` names several modalities, each image has as many volumes along its fourth axis. The cases
    of ``training`` are for training, those of ``test`` for testing; these have no masks.

    Args:
        folder: Such as ``Task01_BrainTumour``.

    Raises:
        LayoutError: There is no ``dataset.json``, or it cannot be read.
    """

    modalities: tuple[Modality, ...]
    labels: Labels
    citation: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._described = read_dataset_json(folder)
        self._options = read_options(folder, used={"patient", "regions", "ignored"})
        self.modalities = self._described.modalities
        self.labels = self._options.labels(self._described.regions())
        self.citation = self._options.citation or CITATION

    def cases(self) -> Iterator[Case]:
        """Yield every case in the order of its id.

        Raises:
            LayoutError: The list is empty, names a case twice, or names a file that is not there.
        """
        listed: list[tuple[str, str, Split]] = [
            *((pair.image, pair.label, "training") for pair in self._described.training),
            *((image, "", "test") for image in self._described.test),
        ]
        found = [self._case(image, label=label, split=split) for image, label, split in listed]
        yield from in_order(found, wanted=f"images listed under training or test in {FILE}", folder=self.folder)

    def _case(self, image: str, *, label: str, split: Split) -> Case:
        case_id = stem_of(Path(image))
        is_shared = len(self.modalities) > 1
        return Case(
            id=case_id,
            images={
                modality: listed_file(
                    self.folder, image, what=f"an image of modality {modality!r}", case_id=case_id, listed_in=FILE
                )
                for modality in self.modalities
            },
            label=listed_file(self.folder, label, what="a mask", case_id=case_id, listed_in=FILE) if label else None,
            group=self._options.patient_of(case_id, folder=self.folder),
            split=split,
            parts={modality: str(number) for number, modality in enumerate(self.modalities)} if is_shared else {},
        )
