import io

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from lesionlab.core.metric import Mask, Spacing
from lesionlab.pages.overlay import choose_slices, draw_overlay, draw_picture, draw_planes

SHAPE = (40, 50, 24)


def block(x: int, y: int, z: int, *, size: int = 6) -> Mask:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[x : x + size, y : y + size, z : z + size] = True
    return mask


NOTHING = np.zeros(SHAPE, dtype=bool)


def drawn(
    predicted: Mask, reference: Mask, spacing_mm: Spacing = (1.0, 1.0, 3.0), *, ignored: Mask = NOTHING
) -> UInt8[np.ndarray, "row column 3"]:
    image = np.random.default_rng(0).random(SHAPE)
    picture = draw_overlay(image, predicted, reference=reference, ignored=ignored, spacing_mm=spacing_mm)
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))


def columns_of(pixels: UInt8[np.ndarray, "row column 3"], colour: tuple[int, int, int]) -> float:
    """Mean column of a colour above the legend, as a fraction of the width."""
    above = pixels[: int(0.8 * len(pixels))].astype(int)
    _, columns = np.nonzero(np.abs(above - colour).max(axis=-1) < 40)
    assert columns.size > 20
    return float(columns.mean() / pixels.shape[1])


def test_slices_with_most_lesion_are_chosen_apart_from_each_other() -> None:
    lesion = block(5, 5, 2, size=4) | block(20, 20, 12)
    chosen = choose_slices(lesion)
    assert len(chosen) == 3
    assert all(lesion[:, :, z].any() for z in chosen)
    assert min(np.diff(chosen)) >= 2
    assert choose_slices(np.zeros(SHAPE, dtype=bool)) == [12]


def test_the_patients_right_is_on_the_left_and_both_outlines_are_seen() -> None:
    right, left = block(30, 20, 10, size=2), block(4, 20, 10, size=2)  # in RAS+, large x is the patient's right
    pixels = drawn(predicted=right, reference=left)
    half = pixels[:, : pixels.shape[1] // 2] if len(choose_slices(left | right)) == 2 else pixels
    assert columns_of(half, (0x33, 0xBB, 0xEE)) < 0.5 < columns_of(half, (0xFF, 0xB0, 0x00))


def test_pixels_follow_spacing() -> None:
    tall, wide = drawn(block(5, 5, 5), block(5, 5, 5), (1.0, 2.0, 1.0)), drawn(block(5, 5, 5), block(5, 5, 5))
    assert tall.shape[0] / tall.shape[1] > 1.5 * wide.shape[0] / wide.shape[1]


def test_empty_masks_and_flat_images_are_drawn() -> None:
    empty = np.zeros((12, 12, 1), dtype=bool)
    picture = draw_overlay(np.zeros((12, 12, 1)), empty, reference=empty, ignored=empty, spacing_mm=(1.0, 1.0, 1.0))
    assert Image.open(io.BytesIO(picture)).size[0] > 100


def test_ignored_voxels_have_an_outline_of_their_own() -> None:
    lesion = block(4, 20, 10)
    without, with_ignored = drawn(lesion, lesion), drawn(lesion, lesion, ignored=block(28, 20, 10))
    assert (without != with_ignored).any()
    assert columns_of(with_ignored, (0xCC, 0x79, 0xA7)) < 0.5  # large x is the patient's right


def test_three_planes_cross_in_the_largest_error() -> None:
    found = block(25, 30, 4)
    missed = block(5, 10, 16, size=4)
    picture = draw_planes(
        np.random.default_rng(0).random(SHAPE),
        found,
        reference=found | missed,
        ignored=NOTHING,
        spacing_mm=(1.0, 1.0, 1.0),
    )
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))[:-60].astype(int)
    amber = np.abs(pixels - (0xFF, 0xB0, 0x00)).max(axis=-1) < 40
    thirds = np.array_split(amber.any(axis=0), [int(40 / 130 * amber.shape[1]), int(80 / 130 * amber.shape[1])])
    assert [bool(third.any()) for third in thirds] == [True, True, True]


def test_a_single_slice_is_shown_in_its_own_plane() -> None:
    flat = np.zeros((30, 40, 1), dtype=bool)
    flat[3:9, 4:12] = True
    picture = draw_planes(np.ones((30, 40, 1)), flat, reference=~flat, ignored=flat & False, spacing_mm=(1.0, 1.0, 1.0))
    assert Image.open(io.BytesIO(picture)).size[0] < 500


def test_a_picture_keeps_its_colours() -> None:
    picture = np.zeros((30, 20, 1, 3))
    picture[..., 0] = 1.0
    nothing = np.zeros((30, 20, 1), dtype=bool)
    png = draw_picture(picture, nothing, reference=nothing, ignored=nothing, spacing_mm=(1.0, 1.0, 1.0))
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    above = pixels[: int(0.7 * len(pixels))]
    assert (above.reshape(-1, 3) == (255, 0, 0)).all(axis=1).mean() > 0.9
    assert not (above.min(axis=-1) > 128).any(), "no letter and no number on it"
