"""Pictures, array files and several masks become images like any other."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image as Picture
from tiny_training import save

from lesionlab.core.case import Case
from lesionlab.core.errors import ImageError, LabelError
from lesionlab.core.labels import LESION, Labels
from lesionlab.engine.case_files import read_file, read_mask, read_scan
from lesionlab.engine.pictures import picture_of_mask

ANY_GREY = Labels(regions=LESION.regions, lesion_above=127.0)


def case_of(label: Path, **options: object) -> Case:
    return Case(id="a", images={}, label=label, group="a", **options)


def test_a_channel_of_a_picture_is_read_with_columns_along_x(tmp_path: Path) -> None:
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    Picture.fromarray(pixels).save(tmp_path / "a.png")
    case = Case(
        id="a", images=dict.fromkeys(["red", "green"], tmp_path / "a.png"), label=None, group="a",
        parts={"red": "0", "green": "1"},
    )  # fmt: skip
    red, green = read_scan(case, "red"), read_scan(case, "green")
    assert red.grid.shape == (6, 4, 1)
    np.testing.assert_array_equal(red.array[..., 0], pixels[..., 0].T)
    np.testing.assert_array_equal(green.array[..., 0], pixels[..., 1].T)
    np.testing.assert_allclose(read_file(tmp_path / "a.png").array, (red.array + green.array + green.array + 1) / 3)


@pytest.mark.parametrize("ending", ["jpg", "bmp", "tif", "png"])
def test_a_grey_mask_of_any_kind_is_cut_at_the_declared_value(tmp_path: Path, ending: str) -> None:
    mask = np.zeros((16, 24), np.uint8)
    mask[4:12, 8:16] = 255
    Picture.fromarray(mask).save(tmp_path / f"m.{ending}")
    found = read_mask(case_of(tmp_path / f"m.{ending}"), ANY_GREY)
    np.testing.assert_array_equal(found.array[..., 0], mask.T > 127)


def test_a_mask_goes_into_a_picture_and_back(tmp_path: Path) -> None:
    mask = np.zeros((6, 4, 1), np.int16)
    mask[2:4, 1] = 1
    (tmp_path / "m.png").write_bytes(picture_of_mask(mask, ANY_GREY))
    np.testing.assert_array_equal(read_mask(case_of(tmp_path / "m.png"), ANY_GREY).array, mask)


@pytest.mark.parametrize("values", [(1,), (7,), (1, 2), (255, 3), (300,), (2, 300)])
def test_a_picture_of_a_mask_reads_back_whatever_it_holds(tmp_path: Path, values: tuple[int, ...]) -> None:
    labels = Labels(regions={f"r{value}": frozenset({value}) for value in values})
    for number, value in enumerate(values):
        mask = np.zeros((6, 4, 1), np.int16)
        mask[2:4, number] = value  # the only region that occurs
        (tmp_path / "m.png").write_bytes(picture_of_mask(mask, labels))
        np.testing.assert_array_equal(read_mask(case_of(tmp_path / "m.png"), labels).array, mask)


def test_array_files_give_slices_and_volumes(tmp_path: Path) -> None:
    volume = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
    np.savez(tmp_path / "a.npz", image=volume[1], label=np.ones((3, 4)))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["image"] = volume
    np.testing.assert_array_equal(read_file(tmp_path / "a.npz", "image").array[..., 0], volume[1].T)
    np.testing.assert_array_equal(read_file(tmp_path / "a.h5", "image").array, volume.transpose(2, 1, 0))
    np.testing.assert_array_equal(read_file(tmp_path / "a.h5", "image/1").array[..., 0], volume[1].T)


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("a.png", b"no picture", ""),
        ("a.npz", b"PK\x03\x04 cut", "image"),
        ("a.h5", b"\x89HDF\r\n", "image"),
        ("missing.png", None, ""),
    ],
)
def test_damaged_files_get_a_plain_error(tmp_path: Path, name: str, content: bytes | None, part: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=name):
        read_file(tmp_path / name, part)


def test_missing_channels_and_keys_are_named(tmp_path: Path) -> None:
    Picture.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "a.png")
    np.savez(tmp_path / "a.npz", image=np.zeros((4, 4)))
    with pytest.raises(ImageError, match="a channel 2"):
        read_file(tmp_path / "a.png", "2")
    with pytest.raises(ImageError, match="mask"):
        read_file(tmp_path / "a.npz", "mask")


def test_nothing_in_an_array_file_is_executed(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", image=np.array([{}], dtype=object))
    with pytest.raises(ImageError, match="allow_pickle"):
        read_file(tmp_path / "a.npz", "image")


def test_further_masks_mark_what_the_first_does_not(tmp_path: Path) -> None:
    masks = np.zeros((3, 4, 4, 2), np.float32)
    masks[0, 0] = 0.9999999
    masks[1, 0:2] = 254.99999
    masks[2, 3] = 1
    first, *further = (save(tmp_path / f"{number}.nii.gz", mask) for number, mask in enumerate(masks))
    labels = Labels(regions={"main": frozenset({1}), "sub": frozenset({2})}, lesion_above=0.5)
    found = read_mask(case_of(first, further_labels=tuple(further)), labels).array[:, 0, 0]
    assert found.tolist() == [1, 2, 0, 2]


def test_a_grey_mask_needs_a_declared_value(tmp_path: Path) -> None:
    save(tmp_path / "m.nii.gz", np.full((4, 4, 2), 0.4, np.float32))
    with pytest.raises(LabelError):
        read_mask(case_of(tmp_path / "m.nii.gz"), LESION)


def test_real_pictures_and_slices_are_read(real_data: Path) -> None:
    lgg = sorted((real_data / "2d" / "lgg_mri" / "images").iterdir())[0]
    assert read_file(lgg, "1").array.shape == (256, 256, 1)
    acdc = sorted((real_data / "2d" / "acdc_h5").iterdir())[0]
    assert set(np.unique(read_file(acdc, "label").array)) <= {0, 1, 2, 3}
    assert 0 < read_file(acdc, "image").array.max() <= 1
