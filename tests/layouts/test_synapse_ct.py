"""What is special to the layout of the Synapse CT data; the rest is in tests/test_all_layouts.py."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from sample_datasets import touch

from lesionlab.core.errors import LayoutError
from lesionlab.engine.case_files import read_mask, read_scan
from lesionlab.layouts import SynapseCt
from lesionlab.layouts.synapse_ct import OFFICIAL, TEST, TRAINING


def test_the_official_lists():
    assert (len(TRAINING), len(TEST), len(OFFICIAL)) == (18, 12, 30)
    assert sorted((*TRAINING, *TEST)) == [*range(1, 11), *range(21, 41)]


def test_slices_and_volumes_are_cases_of_their_patients(tmp_path: Path):
    touch(tmp_path / "train_npz", "case0005_slice010.npz", "case0005_slice009.npz", "case0040_slice000.npz")
    touch(tmp_path / "test_vol_h5", "case0008.npy.h5", "case0022.h5", "test_vol.txt")
    found = [(case.id, case.group, case.split) for case in SynapseCt(tmp_path).cases()]
    assert found == [
        ("case0005_slice009", "case0005", "training"),
        ("case0005_slice010", "case0005", "training"),
        ("case0008", "case0008", "test"),
        ("case0022", "case0022", "test"),
        ("case0040_slice000", "case0040", "training"),
    ]


def test_a_test_patient_among_the_training_slices_is_refused(tmp_path: Path):
    touch(tmp_path / "train_npz", "case0005_slice010.npz", "case0008_slice000.npz")
    with pytest.raises(LayoutError, match="'case0008' among those for test"):
        list(SynapseCt(tmp_path).cases())


def test_a_training_patient_among_the_test_volumes_is_refused(tmp_path: Path):
    touch(tmp_path / "test_vol_h5", "case0005.npy.h5")
    with pytest.raises(LayoutError, match="'case0005' among those for training"):
        list(SynapseCt(tmp_path).cases())


def test_other_patients_have_the_split_of_their_folder(tmp_path: Path):
    touch(tmp_path / "train_npz", "patient003_frame01_slice_10.npz")
    touch(tmp_path / "test_vol_h5", "patient004_frame01.npy.h5")
    found = [(case.id, case.group, case.split) for case in SynapseCt(tmp_path).cases()]
    assert found == [
        ("patient003_frame01_slice_10", "patient003_frame01", "training"),
        ("patient004_frame01", "patient004_frame01", "test"),
    ]


def test_slices_and_volumes_are_read_by_their_keys(tmp_path: Path):
    image = np.arange(24, dtype=np.float32).reshape(2, 3, 4) / 24
    label = (image > 0.5).astype(np.float32) * 8
    (tmp_path / "train_npz").mkdir()
    (tmp_path / "test_vol_h5").mkdir()
    np.savez(tmp_path / "train_npz/case0005_slice001.npz", image=image[1], label=label[1])
    with h5py.File(tmp_path / "test_vol_h5/case0008.npy.h5", "w") as file:
        file["image"], file["label"] = image, label
    layout = SynapseCt(tmp_path)
    part, volume = layout.cases()
    assert read_scan(part, "ct").array.shape == (4, 3, 1)
    assert np.array_equal(read_scan(volume, "ct").array[:, :, 1:], read_scan(part, "ct").array)
    assert set(np.unique(read_mask(volume, layout.labels).array)) == {0, layout.labels.names.index("stomach") + 1}
