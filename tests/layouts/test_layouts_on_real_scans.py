"""Real scans under the names of their datasets: found, judged without an error, and prepared voxel by voxel."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from lesionlab.core.case import Case
from lesionlab.core.layout import Layout
from lesionlab.core.recipe import Preprocessing
from lesionlab.engine.case_files import read_mask, read_scan
from lesionlab.engine.preprocess import prepare
from lesionlab.layouts import Brats, Isles2022, SynapseCt, WmhSplit
from lesionlab.workflows.check import check

pytestmark = pytest.mark.slow

AS_STORED = Preprocessing(foreground="above_background", percentiles=(1, 99))
"""No resampling, so that no voxel of a mask may change."""


def link(source: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(source)


def volumes_ml(case: Case, layout: Layout) -> dict[str, float]:
    """Return the volume of each region in the case's mask as stored."""
    mask = read_mask(case, layout.labels)
    regions = layout.labels.regions_of(mask.array)
    voxel_ml = mask.grid.voxel_volume_mm3 / 1000
    return {name: float(region.sum() * voxel_ml) for name, region in zip(layout.labels.names, regions, strict=True)}


def assert_prepared(case: Case, layout: Layout) -> None:
    """Assert that preparing keeps every modality and every voxel of the mask."""
    prepared = prepare(case, layout.modalities, settings=AS_STORED, labels=layout.labels)
    stored = read_mask(case, layout.labels).array
    assert prepared.label is not None
    assert prepared.image.shape == (len(layout.modalities), *prepared.label.shape)
    assert np.isfinite(prepared.image).all()
    values, counts = np.unique(stored[stored > 0], return_counts=True)
    kept, kept_counts = np.unique(prepared.label[prepared.label > 0], return_counts=True)
    assert (values.tolist(), counts.tolist()) == (kept.tolist(), kept_counts.tolist())


def errors_of(name: str, folder: Path) -> list[str]:
    return [finding.message for finding in check(f"{name}:{folder}") if finding.severity == "error"]


BRATS_NAMES = {
    "until_2021": ("{id}/{id}_{word}.nii.gz", {"t1ce": "t1ce", "t1": "t1", "flair": "flair", "t2": "t2"}, "seg"),
    "since_2023": ("{id}/{id}-{word}.nii.gz", {"t1ce": "t1c", "t1": "t1n", "flair": "t2f", "t2": "t2w"}, "seg"),
    "synapse_net": ("{id}/{word}.nii.gz", {"t1ce": "t1ce", "t1": "t1", "flair": "flair", "t2": "t2"}, "seg"),
}


@pytest.mark.parametrize("edition", ["until_2021", "synapse_net"])
def test_glioma_as_brats(real_data: Path, tmp_path: Path, edition: str):
    source = real_data / "brain/glioma_brats2021_00006"
    pattern, words, mask = BRATS_NAMES[edition]
    for modality, word in words.items():
        link(source / f"{modality}.nii.gz", tmp_path / pattern.format(id="BraTS2021_00006", word=word))
    link(source / "mask.nii.gz", tmp_path / pattern.format(id="BraTS2021_00006", word=mask))
    layout = Brats(tmp_path)
    (case,) = layout.cases()
    assert volumes_ml(case, layout) == pytest.approx({"WT": 137.911, "TC": 51.954, "ET": 26.448}, abs=2e-3)
    assert_prepared(case, layout)
    assert errors_of("brats", tmp_path) == []


def test_a_mask_of_2021_under_names_of_2023_is_found_out(real_data: Path, tmp_path: Path):
    source = real_data / "brain/glioma_brats2021_00006"
    pattern, words, mask = BRATS_NAMES["since_2023"]
    for modality, word in words.items():
        link(source / f"{modality}.nii.gz", tmp_path / pattern.format(id="BraTS-GLI-00006-000", word=word))
    link(source / "mask.nii.gz", tmp_path / pattern.format(id="BraTS-GLI-00006-000", word=mask))
    assert ["4" in message for message in errors_of("brats", tmp_path)] == [True]


@pytest.mark.parametrize(
    "images", ["dwi/{stem}_{name}.nii.gz", "{stem}_{name}.nii.gz", "dwi/{stem}_{name}.nii/x.nii.gz"]
)
def test_stroke_as_isles2022(real_data: Path, tmp_path: Path, images: str):
    source, stem = real_data / "brain/stroke_isles22_case9", "sub-strokecase0009_ses-0001"
    session = tmp_path / "sub-strokecase0009/ses-0001"
    for name in ("dwi", "adc"):
        link(source / f"{name}.nii.gz", session / images.format(stem=stem, name=name))
    link(source / "mask.nii.gz", tmp_path / f"derivatives/sub-strokecase0009/ses-0001/{stem}_msk.nii.gz")
    layout = Isles2022(tmp_path)
    (case,) = layout.cases()
    assert volumes_ml(case, layout) == pytest.approx({"lesion": 4.184}, abs=2e-3)
    assert_prepared(case, layout)
    assert errors_of("isles2022", tmp_path) == []


def test_ms_as_wmh_split(real_data: Path, tmp_path: Path):
    source = real_data / "brain/ms_openms_p26"
    for kind, name, ending in (("flair", "flair", "flair"), ("t1", "t1", "t1"), ("Ground Truth", "mask", "wmh")):
        link(source / f"{name}.nii.gz", tmp_path / f"train/training/{kind}/p 26_{ending}.nii.gz")
    layout = WmhSplit(tmp_path)
    (case,) = layout.cases()
    assert volumes_ml(case, layout) == pytest.approx({"lesion": 8.227}, abs=2e-3)
    assert_prepared(case, layout)
    assert errors_of("wmh_split", tmp_path) == []


def test_heart_in_the_files_of_synapse_ct(real_data: Path, tmp_path: Path):
    """Cardiac slices stand for abdominal ones: one patient as a volume for test, one as slices for training."""
    (tmp_path / "train_npz").mkdir()
    (tmp_path / "test_vol_h5").mkdir()
    stacked: dict[str, list[np.ndarray]] = {"image": [], "label": []}
    for number in range(1, 11):
        with h5py.File(real_data / f"2d/acdc_h5/patient003_frame01_slice_{number}.h5") as file:
            arrays = {key: np.asarray(file[key]) for key in stacked}
        np.savez(tmp_path / f"train_npz/case0005_slice{number:03}.npz", **arrays)
        for key, values in stacked.items():
            values.append(arrays[key])
    with h5py.File(tmp_path / "test_vol_h5/case0008.npy.h5", "w") as file:
        for key, values in stacked.items():
            file[key] = np.stack(values)
    layout = SynapseCt(tmp_path)
    *slices, volume = layout.cases()
    assert (len(slices), volume.id, volume.split) == (10, "case0008", "test")
    for position, case in enumerate(slices):
        assert np.array_equal(read_scan(case, "ct").array[..., 0], read_scan(volume, "ct").array[..., position])
        assert np.array_equal(read_mask(case, layout.labels).array[..., 0].T, stacked["label"][position])
    assert_prepared(volume, layout)
    assert errors_of("synapse_ct", tmp_path) == []
