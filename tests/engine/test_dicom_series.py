"""Series of DICOM files: where their voxels lie, and what is refused."""

import logging
import shutil
from contextlib import suppress
from pathlib import Path

import nibabel
import numpy as np
import pytest
from dicom_files import change, write_enhanced, write_raw, write_series
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import JPEGExtended12Bit, JPEGLosslessSV1, JPEGLSLossless, RLELossless

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
    "another direction": ("ImageOrientationPatient", [0.0, 1.0, 0.0, -1.0, 0.0, 0.0], "one direction"),
    "another spacing": ("PixelSpacing", [1.0, 1.5], "one size, spacing"),
    "an irregular distance": ("ImagePositionPatient", [0.0, 0.0, 4.2], "equal distances"),
    "no place": ("ImagePositionPatient", None, "ImagePositionPatient is missing"),
    "many frames": ("NumberOfFrames", 3, "many in one"),
    "colours": ("SamplesPerPixel", 3, "coloured"),
    "missing pixels": ("PixelData", b"\0\0", "cut off or is damaged"),
    "an absurd size": ("Rows", 65535, "cut off or is damaged"),
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


READ = {
    "decimal commas": ("PixelSpacing", b"0,5\\0,5", "DS", 0.5),
    "a comma between": ("PixelSpacing", b"0.5,0.5", "DS", 0.5),
    "another kind": ("PixelSpacing", b"0.5\\0.5", "LO", 0.5),
    "one text": ("PixelSpacing", b"0.5\\0.5", "ST", 0.5),
    "spaces": ("PixelSpacing", b" 0.5 \\0.5\0", "DS", 0.5),
    "commas between six": ("ImageOrientationPatient", b"1,0,0,0,1,0", "DS", 1.0),
    "a number with a letter": ("InstanceNumber", b"1A", "IS", 1.0),
    "no number": ("InstanceNumber", b"", "IS", 1.0),
    "a thickness that nobody needs": ("SliceThickness", b"abc", "DS", 1.0),
    "an empty slope": ("RescaleSlope", b"", "DS", 1.0),
}


@pytest.mark.parametrize("header", READ)
def test_numbers_are_read_where_they_are_certain(tmp_path: Path, header: str):
    keyword, value, kind, spacing_mm = READ[header]
    for path in write_series(tmp_path, VOLUME):
        write_raw(path, keyword, value, kind=kind)
    image = read_series(tmp_path)
    assert image.grid.spacing_mm[:2] == (spacing_mm, spacing_mm)
    np.testing.assert_array_equal(image.array, VOLUME)


REFUSED = [
    ("PixelSpacing", b"0,5"), ("PixelSpacing", b"0.5"), ("PixelSpacing", b"0\\0"), ("PixelSpacing", b"-1\\1"),
    ("PixelSpacing", b"abc"), ("PixelSpacing", b"nan\\1"), ("PixelSpacing", b"1\\inf"), ("PixelSpacing", b"1_0\\1"),
    ("PixelSpacing", b"1e400\\1"), ("PixelSpacing", b""), ("ImagePositionPatient", b"NaN\\0\\0"),
    ("ImagePositionPatient", b"1\\2"), ("ImagePositionPatient", b"0,0,x"),
    ("ImageOrientationPatient", b"0\\0\\0\\0\\0\\0"),
    ("ImageOrientationPatient", b"1\\0\\0\\1\\0\\0"), ("RescaleSlope", b"abc"), ("RescaleIntercept", b"1\\2"),
    ("NumberOfFrames", b"1A"),
]  # fmt: skip


@pytest.mark.parametrize(("keyword", "value"), REFUSED)
def test_numbers_that_are_none_are_refused_by_name(tmp_path: Path, keyword: str, value: bytes):
    path = write_series(tmp_path, VOLUME)[4]
    write_raw(path, keyword, value, kind="IS" if keyword == "NumberOfFrames" else "DS")
    with pytest.raises(ImageError, match=keyword) as caught:
        read_series(tmp_path)
    assert caught.value.where == str(path)


NUMERIC = ("PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient", "SliceThickness", "RescaleSlope",
           "RescaleIntercept", "NumberOfFrames", "InstanceNumber", "EchoTime", "SeriesNumber")  # fmt: skip


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_series(tmp_path_factory.mktemp("one"), VOLUME[..., :1])[0]


@settings(max_examples=60)
@given(
    st.sampled_from(NUMERIC),
    st.sampled_from(["DS", "IS", "LO", "ST", "UN"]),
    st.one_of(st.binary(max_size=12), st.text("0123456789.,-+eE\\ naif", max_size=16).map(str.encode)),
)
def test_no_header_ends_in_a_traceback(template: Path, keyword: str, kind: str, value: bytes):
    path = template.parent / "changed" / template.name
    path.parent.mkdir(exist_ok=True)
    shutil.copy(template, path)
    write_raw(path, keyword, value, kind=kind)
    with suppress(ImageError):
        grid = read_series(path.parent).grid
        assert np.isfinite(grid.matrix).all()
        assert min(grid.spacing_mm) > 0


@settings(max_examples=40)
@given(st.integers(1, 900))
def test_no_cut_file_ends_in_a_traceback(template: Path, length: int):
    path = template.parent / "cut" / template.name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(template.read_bytes()[:length])
    if length < template.stat().st_size:
        with pytest.raises(ImageError):
            read_series(path.parent)


def test_a_broken_file_is_named(tmp_path: Path):
    path = write_series(tmp_path, VOLUME)[4]
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(ImageError, match="cut off") as caught:
        read_series(tmp_path)
    assert caught.value.where == str(path)


def test_files_without_a_preamble_are_read(tmp_path: Path):
    for path in write_series(tmp_path, VOLUME):
        change(path, SeriesNumber=3)
        path.write_bytes(path.read_bytes()[132:])
    np.testing.assert_array_equal(read_series(tmp_path).array, VOLUME)
    (tmp_path / "other.bin").write_bytes(b"\x08\x00\x05\x00" + b"\xff" * 50)
    np.testing.assert_array_equal(read_series(tmp_path).array, VOLUME)


@pytest.mark.parametrize("kind", ["SR", "PR", "KO", "SEG", "RTSTRUCT", "RTDOSE", "OT", "REG"])
def test_what_is_no_scan_is_left_alone(tmp_path: Path, kind: str):
    write_series(tmp_path, VOLUME)
    for path in write_series(tmp_path / "other", VOLUME[..., :1], kind=kind):
        path.rename(tmp_path / "000_first.dcm")
    np.testing.assert_array_equal(read_series(tmp_path).array, VOLUME)


def test_a_series_is_chosen_by_its_identifier(tmp_path: Path):
    first = dcmread(write_series(tmp_path, VOLUME)[0]).SeriesInstanceUID
    for path in write_series(tmp_path / "other", VOLUME + 1):
        second = dcmread(path).SeriesInstanceUID
        path.rename(tmp_path / f"other_{path.name}")
    np.testing.assert_array_equal(read_series(tmp_path, first).array, VOLUME)
    np.testing.assert_array_equal(read_series(tmp_path, second).array, VOLUME + 1)
    with pytest.raises(ImageError, match=r"none of series 1\.9"):
        read_series(tmp_path, "1.9")


@pytest.mark.parametrize("keyword", ["DiffusionBValue", "EchoTime"])
def test_weightings_of_one_series_are_divided(tmp_path: Path, keyword: str):
    paths = write_series(tmp_path, VOLUME)
    uid, mark = dcmread(paths[0]).SeriesInstanceUID, "b" if keyword == "DiffusionBValue" else "te"
    for path in paths:
        change(path, **{keyword: 0.0})
    for path in write_series(tmp_path / "more", VOLUME + 1):
        change(path, SeriesInstanceUID=uid, **{keyword: 1000.0})
        path.rename(tmp_path / f"more_{path.name}")
    np.testing.assert_array_equal(read_series(tmp_path, f"{uid}/{mark}0").array, VOLUME)
    np.testing.assert_array_equal(read_series(tmp_path, f"{uid}/{mark}1000").array, VOLUME + 1)
    with pytest.raises(ImageError, match=f"{mark}0 and {mark}1000"):
        read_series(tmp_path)


def test_enhanced_files_hold_a_volume_or_several(tmp_path: Path):
    write_enhanced(tmp_path / "one" / "a.dcm", [VOLUME], RescaleSlope=2.0)
    image = read_series(tmp_path / "one")
    np.testing.assert_array_equal(image.array, VOLUME * 2)
    assert image.grid.spacing_mm == pytest.approx((1, 1, 2))
    write_enhanced(tmp_path / "two" / "a.dcm", [VOLUME, VOLUME + 1], b_values=(0.0, 1000.0))
    uid = dcmread(tmp_path / "two" / "a.dcm").SeriesInstanceUID
    np.testing.assert_array_equal(read_series(tmp_path / "two", f"{uid}/b1000").array, VOLUME + 1)


def test_a_mosaic_is_refused(tmp_path: Path):
    for path in write_series(tmp_path, VOLUME[..., :1]):
        change(path, ImageType=["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"])
    with pytest.raises(ImageError, match="mosaic"):
        read_series(tmp_path)


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEGLSLossless, RLELossless])
def test_compressed_pixels_are_those_before(tmp_path: Path, syntax: str):
    gdcm = pytest.importorskip("gdcm")
    volume = np.tile(np.arange(64).reshape(8, 8, 1) * 60, (2, 2, 3))
    for path in write_series(tmp_path, volume):
        change(path, BitsStored=12, HighBit=11, PixelRepresentation=0)
        compress(gdcm, path, syntax)
        assert dcmread(path).file_meta.TransferSyntaxUID == syntax
    np.testing.assert_array_equal(read_series(tmp_path).array, volume)


def test_jpeg_of_12_bits_is_read_up_to_its_own_loss(tmp_path: Path):
    gdcm = pytest.importorskip("gdcm")
    x, y, z = np.indices((48, 40, 3))
    volume = (2000 + 1500 * np.sin(x / 9) * np.cos(y / 11) + 30 * z).astype(np.int16)
    for path in write_series(tmp_path, volume):
        change(path, BitsStored=12, HighBit=11, PixelRepresentation=0, RescaleSlope="2", RescaleIntercept="-10")
        compress(gdcm, path, JPEGExtended12Bit)
        assert dcmread(path).file_meta.TransferSyntaxUID == JPEGExtended12Bit
    found = read_series(tmp_path).array
    assert np.abs(found - (volume * 2.0 - 10)).max() <= 4  # two stored values
    assert not (found == volume).all()
    content = (path := sorted(tmp_path.iterdir())[0]).read_bytes()
    path.write_bytes(content.replace(b"\xff\xc1", b"\xff\x00", 1))
    with pytest.raises(ImageError, match="damaged"):
        read_series(tmp_path)
    path.write_bytes(content.replace(b"\xff\xd9", b"\x00\x00"))
    with pytest.raises(ImageError, match=r"damaged|cut off"):
        read_series(tmp_path)


def compress(gdcm, path: Path, syntax: str) -> None:
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    changed = gdcm.ImageChangeTransferSyntax()
    changed.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax)))
    changed.SetInput(reader.GetImage())
    assert changed.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(changed.GetOutput())
    assert writer.Write()


def test_a_missing_decoder_is_told_apart_from_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    gdcm = pytest.importorskip("gdcm")
    path = write_series(tmp_path, np.zeros((8, 8, 1)))[0]
    change(path, BitsStored=12, HighBit=11, PixelRepresentation=0)
    compress(gdcm, path, JPEGLosslessSV1)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"\xff\xc3", b"\xff\x00", 1))
    with pytest.raises(ImageError, match="damaged"):
        read_series(tmp_path)
    path.write_bytes(content[:-20])
    with pytest.raises(ImageError, match=r"damaged|cut off"):
        read_series(tmp_path)
    path.write_bytes(content)
    monkeypatch.setattr(get_decoder(JPEGLosslessSV1), "_available", {})
    with pytest.raises(ImageError, match=r"compressed as JPEG Lossless.*1\.2\.840\.10008\.1\.2\.4\.70.*python-gdcm"):
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
