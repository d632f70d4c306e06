"""Series of DICOM files: where their voxels lie, and what is refused."""

import logging
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from dicom_files import write_series
from pydicom import dcmread

from lesionlab.core.errors import ImageError
from lesionlab.engine.dicom_series import read_series

VOLUME = np.random.default_rng(0).integers(-100, 1000, (5, 4, 9))


def test_slices_are_sorted_by_place_and_rescaled(tmp_path: Path):
    paths = write_series(tmp_path, VOLUME, slope=2.0, intercept=-1024.0, spacing_mm=(0.5, 0.75, 3.0))
    assert sorted(paths) != paths
    image = read_series(tmp_path)
    np.testing.assert_array_equal(image.array, VOLUME * 2 - 1024)
    assert image.array.dtype == np.float32
    np.testing.assert_allclose(image.grid.spacing_mm, (0.5, 0.75, 3.0))


def test_voxels_lie_where_dicom_says(tmp_path: Path):
    """An oblique stack: voxel (i, j, k) is at position + i*row + j*column + k*normal in LPS, so -x, -y in RAS."""
    row, column = np.array([0.8, 0.6, 0.0]), np.array([-0.36, 0.48, 0.8])
    orientation = (*row.tolist(), *column.tolist())
    first_mm, spacing_mm = (10.0, -20.0, 30.0), (0.5, 2.0, 4.0)
    write_series(tmp_path, VOLUME, first_mm=first_mm, spacing_mm=spacing_mm, orientation=orientation)
    image = read_series(tmp_path)
    lps = np.array(first_mm) + 3 * 0.5 * row + 2 * 2.0 * column + 7 * 4.0 * np.cross(row, column)
    np.testing.assert_allclose((image.grid.matrix @ [3, 2, 7, 1])[:3], lps * [-1, -1, 1], atol=1e-4)
    assert image.array[3, 2, 7] == VOLUME[3, 2, 7]


def test_a_single_slice_is_as_thick_as_it_says(tmp_path: Path):
    write_series(tmp_path, VOLUME[..., :1], spacing_mm=(1.0, 1.0, 5.0))
    assert read_series(tmp_path).grid.spacing_mm == pytest.approx((1.0, 1.0, 5.0))


def test_other_files_are_left_alone(tmp_path: Path):
    write_series(tmp_path, VOLUME)
    (tmp_path / "notes.txt").write_text("nothing to see")
    (tmp_path / ".hidden.dcm").write_bytes(b"\0" * 200)
    assert read_series(tmp_path).array.shape == VOLUME.shape


@pytest.mark.parametrize("missing", range(1, 8))
def test_a_gap_is_refused(tmp_path: Path, missing: int):
    write_series(tmp_path, VOLUME)[missing].unlink()
    with pytest.raises(ImageError, match=f"2 mm between slices {missing} and {missing + 1}, 1 mm elsewhere"):
        read_series(tmp_path)


def test_a_missing_end_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    write_series(tmp_path, VOLUME)[0].unlink()
    with caplog.at_level(logging.WARNING):
        assert read_series(tmp_path).array.shape == (5, 4, 8)
    assert "8 slices, numbered from 2 to 9" in caplog.text


def test_a_whole_series_is_read_in_silence(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    write_series(tmp_path, VOLUME)
    read_series(tmp_path)
    assert caplog.text == ""


def test_a_slice_given_twice_is_refused(tmp_path: Path):
    shutil.copy(write_series(tmp_path, VOLUME)[4], tmp_path / "copy.dcm")
    with pytest.raises(ImageError, match="two at one place"):
        read_series(tmp_path)


def test_two_series_in_one_folder_are_refused(tmp_path: Path):
    write_series(tmp_path, VOLUME)
    for path in write_series(tmp_path / "other", VOLUME, first_mm=(0.0, 0.0, 0.5)):
        path.rename(tmp_path / f"other_{path.name}")
    with pytest.raises(ImageError, match="several mixed"):
        read_series(tmp_path)


CHANGES = {
    "another direction": ("ImageOrientationPatient", [0.0, 1.0, 0.0, -1.0, 0.0, 0.0], "one size, spacing"),
    "another spacing": ("PixelSpacing", [1.0, 1.5], "one size, spacing"),
    "an irregular distance": ("ImagePositionPatient", [0.0, 0.0, 4.2], "equal distances"),
    "no place": ("ImagePositionPatient", None, "ImagePositionPatient is missing"),
    "many frames": ("NumberOfFrames", 3, "many in one"),
    "colours": ("SamplesPerPixel", 3, "coloured"),
    "missing pixels": ("PixelData", b"\0\0", "can be decoded"),
    "an absurd size": ("Rows", 65535, "can be decoded"),
}


@pytest.mark.parametrize("fault", CHANGES)
def test_one_bad_slice_is_refused(tmp_path: Path, fault: str):
    name, value, message = CHANGES[fault]
    path = write_series(tmp_path, VOLUME)[4]
    one = dcmread(path)
    if value is None:
        delattr(one, name)
    else:
        setattr(one, name, value)
    one.save_as(path)
    with pytest.raises(ImageError, match=message):
        read_series(tmp_path)


def test_a_cut_file_and_an_empty_folder_are_refused(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match="DICOM images"):
        read_series(tmp_path / "empty")
    path = write_series(tmp_path / "cut", VOLUME)[4]
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ImageError):
        read_series(tmp_path / "cut")


def test_no_message_tells_who_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    paths = write_series(tmp_path, VOLUME)
    paths[-1].unlink()
    with caplog.at_level(logging.DEBUG):
        read_series(tmp_path)
        paths[3].unlink()
        with pytest.raises(ImageError) as caught:
            read_series(tmp_path)
    assert "anary" not in caplog.text + str(caught.value)


def test_a_real_scan_comes_back_from_dicom(real_data: Path, tmp_path: Path):
    scan = nibabel.load(real_data / "brain/stroke_isles22_case9/dwi.nii.gz")
    flipped = nibabel.as_closest_canonical(scan)
    matrix = np.diag([-1.0, -1.0, 1.0, 1.0]) @ flipped.affine
    spacing_mm = np.linalg.norm(matrix[:3, :3], axis=0)
    directions = matrix[:3, :3] / spacing_mm
    voxels = np.asarray(flipped.dataobj)
    write_series(
        tmp_path,
        voxels,
        first_mm=tuple(matrix[:3, 3].tolist()),
        spacing_mm=tuple(spacing_mm.tolist()),
        orientation=(*directions[:, 0].tolist(), *directions[:, 1].tolist()),
    )
    image = read_series(tmp_path)
    np.testing.assert_array_equal(image.array, voxels)
    np.testing.assert_allclose(image.grid.matrix, flipped.affine, atol=1e-3)
