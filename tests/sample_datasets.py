"""A small complete dataset of every layout, in the names that real copies of it have."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import nibabel
import numpy as np
from dicom_files import write_series
from PIL import Image as Picture

from lesionlab.core.case import Modality


@dataclass(frozen=True, kw_only=True)
class Sample:
    """How tests/test_all_layouts.py makes a dataset of one layout, and what it must allow there.

    Attributes:
        build: Writes at least three complete cases into a folder, as files with one of `endings`.
        endings: Every ending that the layout takes for images.
        twins: Two endings that one image may have by mistake, which nobody could tell apart; none where it cannot.
        has_own_masks: Whether a mask is a file of its own that a case may lack.
        may_lack: Modalities any one of which a case may lack: it then has the others.
        also_takes: Other layouts whose datasets it reads too, and rightly.
        names_files: Whether a list or table names every file, so that one that is not there is refused.
    """

    build: Callable[[Path, str], None]
    endings: tuple[str, ...] = (".nii", ".nii.gz")
    twins: tuple[str, str] | None = (".nii", ".nii.gz")
    has_own_masks: bool = True
    may_lack: frozenset[Modality] = frozenset()
    also_takes: frozenset[str] = frozenset()
    names_files: bool = False


def touch(folder: Path, *names: str) -> None:
    """Make empty files, for what only looks at names."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4)), path)


def build_wmh2017(folder: Path, ending: str) -> None:
    for case in ("training/Utrecht/2", "training/Utrecht/10", "test/Amsterdam/GE3T/100"):
        for name in ("pre/FLAIR", "pre/T1", "wmh"):
            write(folder / case / (name + ending))


def build_wmh_split(folder: Path, ending: str) -> None:
    for part, case in (("train/training", "2"), ("train/validation", "10"), ("test/train", "100")):
        for name, modality in (("flair", "flair"), ("t1", "t1"), ("Ground Truth", "wmh")):
            write(folder / part / name / f"{case}_{modality}{ending}")


def build_isles2022(folder: Path, ending: str) -> None:
    for number in (2, 10, 100):
        subject = f"sub-strokecase{number}"
        stem = f"{subject}_ses-0001"
        for modality in ("dwi", "adc"):
            write(folder / subject / "ses-0001" / "dwi" / f"{stem}_{modality}{ending}")
        write(folder / subject / "ses-0001" / "anat" / f"{stem}_FLAIR{ending}")
        write(folder / "derivatives" / subject / "ses-0001" / f"{stem}_msk{ending}")


def build_brats(folder: Path, ending: str) -> None:
    for case in ("BraTS2021_00002", "BraTS2021_00010", "BraTS2021_00100"):
        for name in ("t1ce", "t1", "flair", "t2", "seg"):
            write(folder / case / f"{case}_{name}{ending}")


def build_brain_mets(folder: Path, ending: str) -> None:
    for case in ("YG_2", "YG_10", "YG_100"):
        for name in ("t1ce_img", "flair_img", "core_seg", "whole_seg"):
            write(folder / case / f"{case}_{name}{ending}")


def build_atlas_r1(folder: Path, ending: str) -> None:
    for site, patient, session in (("Site1", "031768", "t01"), ("Site8", "031871", "t01"), ("Site8", "031871", "t02")):
        for name in ("t1w_deface", "LesionSmooth"):
            write(folder / site / patient / session / f"{patient}_{name}_stx{ending}")
    write(folder / "Site8/031871/t02" / f"031871_LesionSmooth_1_stx{ending}")


def build_atlas_r2(folder: Path, ending: str) -> None:
    for part, cohort, subject in (
        ("Training", "R001", "sub-r001s001"),
        ("Training", "R009", "sub-r009s002"),
        ("Testing", "R003", "sub-r003s010"),
    ):
        stem = f"{subject}_ses-1_space-MNI152NLin2009aSym"
        for name in ("T1w", "label-L_desc-T1lesion_mask"):
            write(folder / part / cohort / subject / "ses-1" / "anat" / f"{stem}_{name}{ending}")


def build_synapse_ct(folder: Path, ending: str) -> None:
    for name, shape in (("case0005_slice002", (4, 5)), ("case0005_slice010", (4, 5))):
        (folder / "train_npz").mkdir(parents=True, exist_ok=True)
        np.savez(folder / "train_npz" / f"{name}.npz", image=np.zeros(shape, np.float32), label=np.zeros(shape))
    (folder / "test_vol_h5").mkdir()
    with h5py.File(folder / "test_vol_h5" / f"case0001{ending}", "w") as file:
        file["image"] = file["label"] = np.zeros((3, 4, 5), np.float32)


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_picture(path: Path, *, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Picture.new(mode, (3, 2)).save(path)


def build_image_mask(folder: Path, ending: str) -> None:
    for name in ("skin 2", "skin 10", "TCGA_CS_4941_19960909_1"):
        write_picture(folder / "images" / f"{name}{ending}")
        write_picture(folder / "masks" / f"{name}_mask.png", mode="L")


def build_bids(folder: Path, ending: str) -> None:
    for subject, session in (("sub-2", "ses-1"), ("sub-10", "ses-1"), ("sub-10", "ses-2")):
        place, stem = f"{subject}/{session}/anat", f"{subject}_{session}"
        for suffix in ("FLAIR", "T1w", "ce-gadolinium_T1w"):
            write(folder / place / f"{stem}_{suffix}{ending}")
        write(folder / "derivatives" / "experts" / place / f"{stem}_space-orig_label-lesion_mask{ending}")
        write(folder / "derivatives" / "experts" / place / f"{stem}_label-brain_mask{ending}")


def build_dicom(folder: Path, ending: str) -> None:
    for case in ("Müller 2", "Müller 10", "Adams"):
        for name, description in (("2_loc", "localizer"), ("7_fl", "t2_FLAIR tra"), ("9_t1", "T1 MPRAGE")):
            write_series(folder / case / "visit 1" / name, np.zeros((2, 2, 2)), description=description)
        write(folder / case / "visit 1" / f"mask{ending}")


def build_nnunet_raw(folder: Path, ending: str) -> None:
    for part, case in (("Tr", "les_002"), ("Tr", "les_010"), ("Ts", "les_100")):
        for name in (f"images{part}/{case}_0000", f"images{part}/{case}_0001", f"labels{part}/{case}"):
            write(folder / (name + ending))
    described = {"channel_names": {"0": "FLAIR", "1": "T1"}, "labels": {"background": 0, "lesion": 1, "ignore": 2}}
    write_text(folder / "dataset.json", json.dumps({**described, "numTraining": 2, "file_ending": ending}))


def build_msd(folder: Path, ending: str) -> None:
    pairs = []
    for case in ("liver_2", "liver_10", "liver_100"):
        pairs.append({"image": f"./imagesTr/{case}{ending}", "label": f"./labelsTr/{case}{ending}"})
        for name in pairs[-1].values():
            write(folder / name)
    labels = {"0": "background", "1": "liver", "2": "cancer of the liver"}
    described = {"modality": {"0": "CT"}, "labels": labels, "training": pairs, "test": []}
    write_text(folder / "dataset.json", json.dumps(described))


def build_datalist(folder: Path, ending: str) -> None:
    entries = []
    for fold, case in enumerate(("site 1/2", "site 1/10", "site 2/1")):
        images = [f"data/{case}/{name}{ending}" for name in ("flair", "t1ce")]
        entries.append({"image": images, "label": f"data/{case}/seg{ending}", "fold": fold})
        for name in (*images, entries[-1]["label"]):
            write(folder / name)
    write_text(folder / "folds.json", json.dumps({"training": entries}))


def build_table(folder: Path, ending: str) -> None:
    rows = ["id,group,site,split,category,label,flair,t1"]
    for case in ("a 2", "a 10", "b"):
        files = [f"scans/{name}/{case}{ending}" for name in ("mask", "flair", "t1")]
        rows.append(",".join([case, case[0], "Ulm", "train", "", *files]))
        for name in files:
            write(folder / name)
    write_text(folder / "cohort.csv", "\n".join(rows))


SAMPLES: dict[str, Sample] = {
    "atlas_r1": Sample(build=build_atlas_r1),
    "atlas_r2": Sample(build=build_atlas_r2),
    "bids": Sample(build=build_bids, may_lack=frozenset({"flair", "t1", "t1ce"}), also_takes=frozenset({"isles2022"})),
    "brain_mets": Sample(
        build=build_brain_mets, may_lack=frozenset({"t1ce", "flair"}), also_takes=frozenset({"brats"})
    ),  # its images are known by a part of their names, which those of BraTS have too
    "brats": Sample(build=build_brats),
    "datalist": Sample(build=build_datalist, twins=None, names_files=True),
    "dicom": Sample(build=build_dicom, twins=None, may_lack=frozenset({"flair", "t1"})),
    "image_mask": Sample(build=build_image_mask, endings=(".png", ".jpg", ".tif", ".bmp"), twins=(".png", ".jpg")),
    "isles2022": Sample(build=build_isles2022),
    "msd": Sample(build=build_msd, twins=None, names_files=True),
    "nnunet_raw": Sample(build=build_nnunet_raw),
    "synapse_ct": Sample(
        build=build_synapse_ct, endings=(".npy.h5", ".h5"), twins=(".npy.h5", ".h5"), has_own_masks=False
    ),
    "table": Sample(build=build_table, twins=None, names_files=True),
    "wmh2017": Sample(build=build_wmh2017),
    "wmh_split": Sample(build=build_wmh_split),
}
"""One entry per layout; a new layout joins by a builder and a line here."""
