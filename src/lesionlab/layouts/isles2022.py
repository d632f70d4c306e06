"""The ISLES 2022 challenge: acute strokes on diffusion MRI."""

from collections.abc import Iterator
from pathlib import Path

from lesionlab.core.case import Case, Modality
from lesionlab.core.errors import LayoutError
from lesionlab.core.image_formats import is_volume, stem_of
from lesionlab.core.labels import LESION, Labels
from lesionlab.core.layout import layout
from lesionlab.core.split_rule import split_fields
from lesionlab.layouts.dataset_options import read_options
from lesionlab.layouts.image_files import (
    find_below,
    find_image,
    find_matching,
    folders_up_to,
    in_order,
    no_image,
    visible,
)
from lesionlab.layouts.tables import split_of_folders

CITATION = "Hernandez Petzsche et al. 2022, Scientific Data 9:762, doi:10.1038/s41597-022-01875-5"

MASKS = "derivatives"
RAW = "rawdata"


@layout("isles2022")
class Isles2022:
    """ISLES 2022, acute strokes on DWI and ADC: a folder per subject and session, masks in ``derivatives``.

    The images are ``sub-<X>/ses-<Y>/[dwi/]<sub>_<ses>_{dwi,adc}.nii.gz``, and the mask is
    ``derivatives/sub-<X>/ses-<Y>/<sub>_<ses>_msk.nii.gz``. The subjects lie in `folder` itself, in
    ``rawdata``, or up to three folders deeper (``ISLES-2022/ISLES-2022``), and ``derivatives`` lies beside them or
    above. Where a copy of the dataset made a folder of each file, ``<sub>_<ses>_dwi.nii/``, the one image in it is
    taken. A case's id is ``<sub>_<ses>``; the sessions of a subject are one group. The challenge gave no split of its
    public cases; a folder ``train``, ``validation`` or ``test`` among those above the subjects does.

    FLAIR is left out: the challenge has it on a grid of its own, not registered to the diffusion images.

    Args:
        folder: Where the dataset lies.
    """

    modalities: tuple[Modality, ...] = ("dwi", "adc")
    labels: Labels = LESION
    citation: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.citation = read_options(folder, used=()).citation or CITATION

    def cases(self) -> Iterator[Case]:
        """Yield every case in the order of its id; a case without a mask has no label.

        Raises:
            LayoutError: There is no case, two have one id, a case lacks a modality, or an image is there twice.
        """
        found = (self._case(session) for session in self._sessions())
        yield from in_order(found, wanted="folders sub-<X>/ses-<Y> with DWI and ADC", folder=self.folder)

    def _sessions(self) -> list[Path]:
        paths = find_below(self.folder, "sub-*/ses-*", depths=range(4))
        return [path for path in paths if path.is_dir() and MASKS not in path.relative_to(self.folder).parts]

    def _case(self, session: Path) -> Case:
        subject = session.parent.name
        case_id = f"{subject}_{session.name}"
        images = session / "dwi" if (session / "dwi").is_dir() else session
        return Case(
            id=case_id,
            images={modality: _image_of(case_id, modality, images) for modality in self.modalities},
            label=self._mask(session, f"{case_id}_msk"),
            group=subject,
            **split_fields(split_of_folders(session.relative_to(self.folder))),
        )

    def _mask(self, session: Path, stem: str) -> Path | None:
        """Return the session's mask from the nearest ``derivatives``; that of ``rawdata`` lies beside it."""
        top = self.folder.parent if self.folder.name == RAW else self.folder
        above = folders_up_to(top, session)[1:]
        masks = (folder / MASKS / session.parent.name / session.name for folder in above)
        return next(filter(None, (_find(folder, stem) for folder in masks)), None)


def _image_of(case_id: str, modality: Modality, folder: Path) -> Path:
    path = _find(folder, f"{case_id}_{modality}")
    if path is None:
        raise no_image(case_id, modality, named=f"{case_id}_{modality}.nii.gz or .nii", folder=folder)
    return path


def _find(folder: Path, stem: str) -> Path | None:
    """Return the image of this name, or the one inside a folder of this name; None where neither exists."""
    folders = [path for path in visible(folder) if path.is_dir() and is_volume(path) and stem_of(path) == stem]
    images = [find_image(folder / stem), *(find_matching(path, ".+", what=stem) for path in folders)]
    found = [path for path in images if path is not None]
    if len(found) > 1:
        raise LayoutError(
            f"one image {stem}",
            found=" and ".join(str(path.relative_to(folder)) for path in found),
            where=folder,
            next_step="delete the ones that are not meant",
        )
    return found[0] if found else None
