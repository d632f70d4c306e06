"""What a network sees of a picture, and what a mask means, do not depend on how they are stored."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Picture

from lesionlab.core.case import Case
from lesionlab.core.errors import ImageError, LabelError
from lesionlab.core.labels import LESION, Labels
from lesionlab.engine.case_files import read_file, read_mask, read_mask_file
from lesionlab.workflows.check.pictures import judge_mask_formats, judge_number_ranges

WHITE_ON_BLACK = Labels(regions=LESION.regions, lesion_above=127.0)
COLOURS = Labels(
    regions={"polyp": frozenset({1}), "tool": frozenset({2})}, colours={"polyp": (255, 0, 0), "tool": (0, 255, 0)}
)


def picture(seed: int = 0) -> np.ndarray:
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 10)).astype(np.uint8)
    pixels[0, :2] = 0, 255
    return pixels


STORED = {
    "16 bits.png": lambda path, pixels: Picture.fromarray(pixels.astype(np.uint16) * 257).save(path),
    "16 bits.tif": lambda path, pixels: tifffile.imwrite(path, pixels.astype(np.uint16) * 257),
    "big-endian.tif": lambda path, pixels: tifffile.imwrite(path, pixels.astype(np.uint16) * 257, byteorder=">"),
    "12 bits.tif": lambda path, pixels: tifffile.imwrite(path, pixels.astype(np.uint16) * 16),
    "8 in 16 bits.tif": lambda path, pixels: tifffile.imwrite(path, pixels.astype(np.uint16)),
    "0 to 1.tif": lambda path, pixels: tifffile.imwrite(path, (pixels / 255).astype(np.float32)),
    "0 to 255.tif": lambda path, pixels: tifffile.imwrite(path, pixels.astype(np.float32)),
    "32 bits.tif": lambda path, pixels: tifffile.imwrite(path, pixels.astype(np.int32) * 257),
    "colour.bmp": lambda path, pixels: Picture.fromarray(pixels).convert("RGB").save(path),
    "alpha.png": lambda path, pixels: Picture.fromarray(pixels).convert("RGBA").save(path),
    "print.tif": lambda path, pixels: Picture.fromarray(pixels).convert("RGB").convert("CMYK").save(path),
    "palette.png": lambda path, pixels: Picture.fromarray(pixels).convert("P").save(path),
    "palette.gif": lambda path, pixels: Picture.fromarray(pixels).save(path),
    "lossless.webp": lambda path, pixels: Picture.fromarray(pixels).convert("RGB").save(path, lossless=True),
}


@pytest.mark.parametrize("name", STORED)
def test_every_number_range_looks_as_8_bits_do(tmp_path: Path, name: str):
    STORED[name](tmp_path / name, picture())
    np.testing.assert_allclose(read_file(tmp_path / name).array[..., 0], picture().T, atol=2.0)


def test_numbers_below_zero_stay_as_they_are(tmp_path: Path):
    stored = picture().astype(np.int16) * 8 - 1000
    tifffile.imwrite(tmp_path / "ct.tif", stored.astype(np.float32))
    np.testing.assert_array_equal(read_file(tmp_path / "ct.tif").array[..., 0], stored.T)


TURNS = {
    2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1], 5: lambda a: a.T,
    6: lambda a: np.rot90(a), 7: lambda a: a[::-1, ::-1].T, 8: lambda a: np.rot90(a, -1),
}  # fmt: skip


@pytest.mark.parametrize("tag", TURNS)
@pytest.mark.parametrize("ending", ["png", "tif", "webp"])
def test_pictures_and_masks_are_turned_as_their_tag_says(tmp_path: Path, tag: int, ending: str):
    exif = Picture.Exif()
    exif[274] = tag
    options = {"webp": {"lossless": True}, "tif": {"compression": "tiff_lzw"}}.get(ending, {})
    turned = Picture.fromarray(np.ascontiguousarray(TURNS[tag](picture())))
    turned.save(tmp_path / f"a.{ending}", exif=exif, **options)
    np.testing.assert_allclose(read_file(tmp_path / f"a.{ending}").array[..., 0], picture().T, atol=1.0)
    mask = read_mask_file(tmp_path / f"a.{ending}", WHITE_ON_BLACK).array[..., 0]
    np.testing.assert_array_equal(mask, picture().T > 127)


def test_an_uncompressed_tiff_that_is_turned_is_refused_where_it_would_be_misread(tmp_path: Path):
    for tag, turn in TURNS.items():
        exif = Picture.Exif()
        exif[274] = tag
        Picture.fromarray(np.ascontiguousarray(turn(picture()))).save(tmp_path / "a.tif", exif=exif)
        if tag < 5:
            np.testing.assert_array_equal(read_file(tmp_path / "a.tif").array[..., 0], picture().T)
        else:
            with pytest.raises(ImageError, match="turned by its orientation tag"):
                read_file(tmp_path / "a.tif")


def palette(mask: np.ndarray, colours: list[int]) -> Picture.Image:
    made = Picture.fromarray(mask.astype(np.uint8), mode="P")
    made.putpalette(colours)
    return made


MASKS = {
    "0 and 255.png": lambda path, mask: Picture.fromarray(mask.astype(np.uint8) * 255).save(path),
    "0 and 1.png": lambda path, mask: Picture.fromarray(mask.astype(np.uint8)).save(path),
    "1 bit.png": lambda path, mask: Picture.fromarray(mask).save(path),
    "16 bits.png": lambda path, mask: Picture.fromarray(mask.astype(np.uint16) * 65535).save(path),
    "16 bits of 1.tif": lambda path, mask: tifffile.imwrite(path, mask.astype(np.uint16)),
    "float.tif": lambda path, mask: tifffile.imwrite(path, mask.astype(np.float32)),
    "frame.gif": lambda path, mask: Picture.fromarray(mask.astype(np.uint8) * 255).save(path),
    "lossless.webp": lambda path, mask: Picture.fromarray(mask.astype(np.uint8) * 255).save(path, lossless=True),
    "noise.jpg": lambda path, mask: Picture.fromarray(mask.astype(np.uint8) * 255).save(path, quality=95),
    "colour.png": lambda path, mask: Picture.fromarray(mask.astype(np.uint8) * 255).convert("RGB").save(path),
    "opaque.png": lambda path, mask: Picture.fromarray(mask.astype(np.uint8) * 255).convert("RGBA").save(path),
    "coloured palette.png": lambda path, mask: palette(mask, [0, 0, 0, 200, 0, 0]).save(path),
    "white palette.png": lambda path, mask: palette(~mask, [255, 255, 255, 0, 0, 0]).save(path),
}  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(name=st.sampled_from(list(MASKS)), seed=st.integers(0, 99))
def test_a_mask_means_the_same_however_it_is_stored(tmp_path_factory: pytest.TempPathFactory, name: str, seed: int):
    mask = np.zeros((16, 24), bool)
    mask[4 : 6 + seed % 9, 8:16] = True
    path = tmp_path_factory.mktemp("m") / name
    MASKS[name](path, mask)
    np.testing.assert_array_equal(read_mask_file(path, WHITE_ON_BLACK).array[..., 0], mask.T)


def coloured(path: Path, **options: object) -> np.ndarray:
    values = np.zeros((16, 24), np.int16)
    values[:8, :8], values[8:, 8:16] = 1, 2
    Picture.fromarray(np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0)], np.uint8)[values]).save(path, **options)
    return values.T


@pytest.mark.parametrize("name", ["m.png", "m.jpg", "m.gif", "m.tif"])
def test_declared_colours_are_regions(tmp_path: Path, name: str):
    values = coloured(tmp_path / name, **({"quality": 95, "subsampling": 0} if name == "m.jpg" else {}))
    np.testing.assert_array_equal(read_mask_file(tmp_path / name, COLOURS).array[..., 0], values)


def test_colours_that_nobody_declared_are_refused(tmp_path: Path):
    coloured(tmp_path / "m.png")
    only_red = Labels(regions={"polyp": frozenset({1})}, colours={"polyp": (255, 0, 0)})
    with pytest.raises(LabelError, match=r"found also \[0, 255, 0\]"):
        read_mask_file(tmp_path / "m.png", only_red)
    for labels in (WHITE_ON_BLACK, LESION):
        with pytest.raises(LabelError, match=r"found colours.*lesionlab\.toml"):
            read_mask_file(tmp_path / "m.png", labels)


def test_a_partly_transparent_mask_is_refused(tmp_path: Path):
    rgba = np.full((4, 4, 4), 255, np.uint8)
    rgba[:2, :, 3] = 0
    Picture.fromarray(rgba).save(tmp_path / "m.png")
    with pytest.raises(LabelError, match="partly transparent"):
        read_mask_file(tmp_path / "m.png", WHITE_ON_BLACK)


def test_pages_are_slices_with_nnunet_s_spacing(tmp_path: Path):
    pages = np.stack([picture(seed) for seed in range(5)])
    tifffile.imwrite(tmp_path / "cell_0000.tif", pages, photometric="minisblack")
    (tmp_path / "cell.json").write_text(json.dumps({"spacing": [3.0, 0.5, 0.25]}))
    image = read_file(tmp_path / "cell_0000.tif")
    np.testing.assert_array_equal(image.array, pages.transpose(2, 1, 0))
    assert image.grid.spacing_mm == (0.25, 0.5, 3.0)
    for wrong in ('{"spacing": [1, 2]}', '{"spacing": [0, 1, 1]}', "[]", "\x00"):
        (tmp_path / "cell.json").write_text(wrong)
        with pytest.raises(ImageError, match="spacing"):
            read_file(tmp_path / "cell_0000.tif")


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_animations_are_refused(tmp_path: Path, name: str):
    frames = [Picture.fromarray(picture(seed)).convert("RGB") for seed in range(3)]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match="3 frames"):
        read_file(tmp_path / name)


def test_pages_of_several_sizes_are_refused(tmp_path: Path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(picture())
        file.write(picture()[:6])
    with pytest.raises(ImageError, match="pages of one size"):
        read_file(tmp_path / "a.tif")


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "bmp", "gif", "webp"])
def test_cut_pictures_are_refused(tmp_path: Path, ending: str):
    path = tmp_path / f"a.{ending}"
    Picture.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)).convert("RGB").save(path)
    whole = path.read_bytes()
    for share in (0.0, 0.02, 0.5):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ImageError, match=path.name):
            read_file(path)


def test_several_masks_are_joined(tmp_path: Path):
    paths = []
    for number in range(3):
        pixels = np.zeros((6, 6), np.uint8)
        pixels[number] = 255
        paths.append(tmp_path / f"a_mask_{number}.png")
        Picture.fromarray(pixels).save(paths[-1])
    case = Case(id="a", images={}, label=paths[0], group="a", further_labels=tuple(paths[1:]))
    assert read_mask(case, WHITE_ON_BLACK).array[0, :, 0].tolist() == [1, 1, 1, 0, 0, 0]


def test_check_tells_of_ranges_that_differ_and_of_unusual_masks(tmp_path: Path):
    for name, factor in (("a", 257), ("b", 16)):
        tifffile.imwrite(tmp_path / f"{name}.tif", picture().astype(np.uint16) * factor)
        Picture.fromarray(picture()).save(tmp_path / f"{name}.gif")
    cases = [
        Case(id=name, images={"grey": tmp_path / f"{name}.tif"}, label=tmp_path / f"{name}.gif", group=name)
        for name in "ab"
    ]
    (finding,) = judge_number_ranges(cases)
    assert (finding.rule, finding.severity) == ("number-range", "warning")
    assert "4095 in 1 (b.tif) and 65535 in 1 (a.tif)" in finding.found
    assert not list(judge_number_ranges(cases[:1]))
    (note,) = judge_mask_formats(cases)
    assert ".gif" in note.found
