"""Files that hold several images, and folders that hold one."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from dicom_files import write_series
from PIL import Image as Picture

from lesionlab.core.content_key import content_key
from lesionlab.core.errors import ImageError
from lesionlab.engine.case_files import read_file
from lesionlab.engine.images import read_image

VOLUMES = np.random.default_rng(0).normal(size=(3, 4, 5, 2)).astype(np.float32)


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """Two volumes along the fourth axis, as the Decathlon stores modalities."""
    path = tmp_path / "two.nii.gz"
    nibabel.save(nibabel.Nifti1Image(VOLUMES, np.diag([-1.0, 2.0, 3.0, 1.0])), path)
    return path


@pytest.mark.parametrize("part", ["0", "1"])
def test_a_volume_of_a_series(series: Path, part: str):
    image = read_file(series, part)
    np.testing.assert_array_equal(image.array, VOLUMES[..., int(part)])
    assert image.grid.shape == (3, 4, 5)


def test_a_volume_that_is_not_there_is_refused(series: Path):
    with pytest.raises(ImageError, match="at least 3 volumes; found 2"):
        read_file(series, "2")


def test_a_series_is_no_single_image(series: Path):
    with pytest.raises(ImageError, match="a 3-D image"):
        read_image(series)


def test_a_single_image_is_its_first_volume_only(tmp_path: Path):
    nibabel.save(nibabel.Nifti1Image(VOLUMES[..., 0], np.eye(4)), tmp_path / "one.nii")
    np.testing.assert_array_equal(read_file(tmp_path / "one.nii", "0").array, VOLUMES[..., 0])
    with pytest.raises(ImageError, match="a 3-D image"):
        read_file(tmp_path / "one.nii", "1")


def test_a_folder_is_a_dicom_series(tmp_path: Path):
    voxels = np.arange(24).reshape(2, 3, 4)
    paths = write_series(tmp_path, voxels)
    np.testing.assert_array_equal(read_file(tmp_path).array, voxels)
    before = content_key([tmp_path], settings=None)
    assert content_key([tmp_path], settings=None) == before
    paths[0].write_bytes(paths[0].read_bytes() + b"\0")
    assert content_key([tmp_path], settings=None) != before


@pytest.mark.parametrize(("mode", "white"), [("1", 1), ("L", 255), ("LA", (255, 9)), ("P", 255)])
def test_white_is_255_in_every_kind_of_picture(tmp_path: Path, mode: str, white: object):
    picture = Picture.new(mode, (3, 2))
    if mode == "P":
        picture.putpalette([value for value in range(256) for _ in range(3)])
    picture.putpixel((2, 0), white)
    picture.save(tmp_path / "a.png")
    array = read_file(tmp_path / "a.png").array
    assert array.shape == (3, 2, 1)
    assert array[2, 0, 0] == 255
    assert np.count_nonzero(array) == 1
