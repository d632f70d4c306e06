"""Synapse: eight abdominal organs on CT, as TransUNet's authors prepared them."""

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from lesionlab.core.case import Case, Modality, Split
from lesionlab.core.errors import LayoutError
from lesionlab.core.labels import Labels
from lesionlab.core.layout import layout
from lesionlab.layouts.dataset_options import read_options
from lesionlab.layouts.image_files import in_order, is_there, visible

ORGANS = ("aorta", "gallbladder", "left_kidney", "right_kidney", "liver", "pancreas", "spleen", "stomach")
"""Stored values 1 to 8, in this order; other copies of the dataset number the organs in another way."""

LABELS = Labels(regions={organ: frozenset({value}) for value, organ in enumerate(ORGANS, start=1)})

CITATION = (
    "Landman et al. 2015, MICCAI Multi-Atlas Labeling Beyond the Cranial Vault, doi:10.7303/syn3193805; prepared by "
    "Chen et al. 2021, arXiv:2102.04306"
)

TRAINING = (5, 6, 7, 9, 10, 21, 23, 24, 26, 27, 28, 30, 31, 33, 34, 37, 39, 40)
TEST = (1, 2, 3, 4, 8, 22, 25, 29, 32, 35, 36, 38)
"""The patients of the official lists train.txt (18) and test_vol.txt (12)."""

OFFICIAL: dict[str, Split] = {
    **{f"case{number:04}": "training" for number in TRAINING},
    **{f"case{number:04}": "test" for number in TEST},
}

SLICE = re.compile(r"((.+)_slice_?\d+)\.npz")
VOLUME = re.compile(r"(.+?)(\.npy)?\.h5")

WANTED = "train_npz/<patient>_slice<number>.npz or test_vol_h5/<patient>.npy.h5"


@layout("synapse_ct")
class SynapseCt:
    """Synapse, eight abdominal organs on CT: slices to train on, whole volumes to test on.

    The files are ``train_npz/case0005_slice000.npz`` and ``test_vol_h5/case0001.npy.h5`` with keys ``image`` and
    ``label``. Every axial slice of ``train_npz`` is a case, and every volume of ``test_vol_h5``; the patient is the
    group. The split is that of the official lists of 18 and 12 patients. A patient in neither list has the split of the
    folder. The images are windowed to -125 to 275 HU and scaled to 0 to 1; nothing says how far their voxels lie apart.

    Args:
        folder: Where the dataset lies.

    Differs: a patient of the one official list who lies in the folder of the other is refused.
    """

    modalities: tuple[Modality, ...] = ("ct",)
    labels: Labels = LABELS
    citation: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.citation = read_options(folder, used=()).citation or CITATION

    def cases(self) -> Iterator[Case]:
        """Yield every slice and volume in the order of its id; whether a file has both keys shows when it is read.

        Raises:
            LayoutError: There is no case, two have one id, or a patient lies in the wrong folder.
        """
        yield from in_order(chain(self._slices(), self._volumes()), wanted=WANTED, folder=self.folder)

    def _slices(self) -> Iterator[Case]:
        for path in visible(self.folder / "train_npz"):
            if (named := SLICE.fullmatch(path.name)) and is_there(path):
                yield _case(path, case_id=named[1], patient=named[2], split="training")

    def _volumes(self) -> Iterator[Case]:
        files: dict[str, Path] = {}
        for path in visible(self.folder / "test_vol_h5"):
            if (named := VOLUME.fullmatch(path.name)) and is_there(path):
                if named[1] in files:
                    raise _two_files(files[named[1]], path)
                files[named[1]] = path
        for patient, path in files.items():
            yield _case(path, case_id=patient, patient=patient, split="test")


def _case(path: Path, *, case_id: str, patient: str, split: Split) -> Case:
    if OFFICIAL.get(patient, split) != split:
        raise LayoutError(
            f"patient {patient!r} among those for {OFFICIAL[patient]}, as in the official lists",
            found=f"{path.name} among those for {split}",
            where=path.parent,
            next_step="move the file; a patient in both parts would spoil every score",
        )
    return Case(
        id=case_id,
        images={"ct": path},
        label=path,
        group=patient,
        split=split,
        parts={"ct": "image"},
        label_part="label",
    )


def _two_files(one: Path, other: Path) -> LayoutError:
    return LayoutError(
        "one image per patient",
        found=f"{one.name} and {other.name}",
        where=one.parent,
        next_step="delete the one that is not meant",
    )
