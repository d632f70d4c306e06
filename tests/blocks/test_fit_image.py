"""Images of any size fit, and come back."""

import pytest
import torch

from lesionlab.blocks.fit_image import cut_back, fit_image
from lesionlab.core.errors import ImageError


def test_sides_become_whole_strides_by_repeating_the_edge() -> None:
    image = torch.arange(15.0).reshape(1, 1, 3, 5)
    fitted = fit_image(image, None, modalities=1, strides=(2, 4))
    assert fitted.shape == (1, 1, 4, 8)
    assert torch.equal(fitted[..., :3, :5], image)
    assert torch.equal(fitted[0, 0, 3], torch.tensor([10.0, 11, 12, 13, 14, 14, 14, 14]))


def test_cut_back_undoes_the_padding_at_any_coarseness() -> None:
    image = torch.randn(1, 2, 5, 7, 9)
    fitted = fit_image(image, None, modalities=2, strides=(8, 8, 8))
    assert torch.equal(cut_back(fitted, (5, 7, 9), strides=(1, 1, 1)), image)
    assert cut_back(fitted[..., ::2, ::2, ::4], (5, 7, 9), strides=(2, 2, 4)).shape == (1, 2, 3, 4, 3)


def test_what_is_absent_becomes_zero_whatever_it_was() -> None:
    image = torch.full((2, 2, 4, 4), torch.nan)
    image[1] = 1
    fitted = fit_image(image, torch.tensor([[False, False], [True, False]]), modalities=2, strides=(2, 2))
    assert fitted.sum(dim=(2, 3)).tolist() == [[0, 0], [16, 0]]


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (1, 2, 4, 2)])
def test_wrong_images_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="2 modalities on more than 4x2 voxels"):
        fit_image(torch.zeros(shape), None, modalities=2, strides=(4, 2))
