"""Which slice comes when: the published playlists, and samples that depend on nothing but their number."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from lesionlab.core.grid import Box, Grid
from lesionlab.core.labels import Labels
from lesionlab.core.recipe import Sampling
from lesionlab.engine.sampling import SliceSampler, difficulty_odds, index_slices
from lesionlab.engine.store import StoredCase
from lesionlab.transforms.geometry import Geometry
from lesionlab.transforms.synapse_net_augmentation import SynapseNetAugmentation

WMH = Labels(regions={"lesion": frozenset({1})}, ignored=frozenset({2}))
STILL = SynapseNetAugmentation(
    flip=0.0, affine=0.0, elastic=0.0, gamma=0.0, noise=0.0, intensity=0.0, holes=0.0
)  # nothing ever happens


def stored(folder: Path, label: np.ndarray) -> StoredCase:
    """Store a case whose image tells its voxels apart: the first modality counts them, the second is negative."""
    folder.mkdir(parents=True)
    image = np.arange(label.size, dtype=np.float32).reshape(label.shape)
    np.save(folder / "image.npy", np.asfortranarray(np.stack([image, -1 - image])))
    np.save(folder / "label.npy", np.asfortranarray(label))
    grid = Grid.of(label.shape, np.eye(4))
    geometry = Geometry(scan=grid, working=grid, box=Box(start=(0, 0, 0), stop=grid.shape))
    background = (-7.0, -9.0)
    return StoredCase(
        id=folder.name, group="", site="", folder=folder, geometry=geometry, background=background, space_code=1
    )


def label_of(areas: Sequence[int], shape: tuple[int, int] = (4, 5)) -> np.ndarray:
    label = np.zeros((*shape, len(areas)), np.uint8)
    for z, area in enumerate(areas):
        label[..., z] = (np.arange(shape[0] * shape[1]) < area).reshape(shape)
    return label


def sampler_of(cases: list[StoredCase], size: tuple[int, int] = (4, 5), *, seed: int = 0, augmented: bool = False):
    chosen = SynapseNetAugmentation(hole_voxels=(1, 2)) if augmented else STILL
    return SliceSampler(cases, WMH, settings=Sampling(size=size), augmentation=chosen, seed=seed)


def test_agrees_with_the_published_playlists(parity: Path):
    golden = torch.load(parity / "synapse_numeric.pt", weights_only=True)["sampler"]
    areas = golden["areas"]
    places = [(case, z) for case, part in enumerate(areas) for z in range(len(part))]
    assert len(golden["cases"]) == 4
    for case in golden["cases"]:
        settings = Sampling(factor=case["oversample_factor"], percentile=case["percentile"], bonus=case["bonus"])
        odds = difficulty_odds(np.concatenate([np.array(part) for part in areas]), settings)
        assert [places[slice_] for slice_ in np.repeat(np.arange(len(odds)), odds)] == case["playlist"]


def test_without_any_lesion_every_slice_comes_once():
    assert difficulty_odds(np.zeros(5, int), Sampling()).tolist() == [1] * 5


def test_other_pathology_is_no_lesion(tmp_path: Path):
    label = label_of([3, 0, 5])
    label[0, 0, 1] = 2
    case = stored(tmp_path / "a", label)
    assert index_slices([case, case], WMH).area.tolist() == [3, 0, 5, 3, 0, 5]
    sample = sampler_of([stored(tmp_path / "b", label[..., 1:2])])[0]
    assert not sample.reference.any()
    assert (~sample.counted).nonzero().tolist() == [[0, 0, 0]]


def test_one_epoch_is_the_playlist(tmp_path: Path):
    sampler = sampler_of([stored(tmp_path / "a", label_of([0, 2, 9])), stored(tmp_path / "b", label_of([4, 0]))])
    length = len(sampler.playlist)
    epochs = []
    for epoch in range(2):
        slices = [sampler[epoch * length + place].image.numpy().tobytes() for place in range(length)]
        epochs.append(slices)
        # shuffled, but each slice as often as its odds say
        assert sorted(slices.count(one) for one in set(slices)) == sorted(sampler.playlist.odds.tolist())
    assert epochs[0] != epochs[1]


def test_a_sample_depends_on_its_number_alone(tmp_path: Path):
    cases = [stored(tmp_path / name, label_of([0, 2, 9, 5], (12, 11))) for name in "ab"]
    first, second = (sampler_of(cases, (8, 8), augmented=True) for _ in range(2))
    forwards = {number: first[number] for number in range(12)}
    for number in reversed(range(12)):
        for expected, found in zip(forwards[number], second[number], strict=True):
            assert torch.equal(expected, found)
    other = sampler_of(cases, (8, 8), augmented=True, seed=1)
    assert not all(torch.equal(forwards[number].image, other[number].image) for number in range(12))


def test_workers_and_where_a_training_goes_on_do_not_matter(tmp_path: Path):
    cases = [stored(tmp_path / "a", label_of([0, 2, 9, 5], (12, 11)))]
    sampler = sampler_of(cases, (8, 8), augmented=True)

    def batches(workers: int, first: int) -> list[torch.Tensor]:
        loader = DataLoader(sampler, batch_size=3, sampler=range(first, 12), num_workers=workers)
        return [batch.image for batch in loader]

    alone = batches(0, 0)
    for expected, found in zip(alone, batches(2, 0), strict=True):
        assert torch.equal(expected, found)
    for expected, found in zip(alone[2:], batches(0, 6), strict=True):
        assert torch.equal(expected, found)


def test_what_is_small_is_padded_with_air(tmp_path: Path):
    sampler = sampler_of([stored(tmp_path / "a", label_of([20]))], (7, 9))
    image, reference, counted = sampler[0]
    assert (image.shape, reference.shape, counted.shape) == ((2, 7, 9), (1, 7, 9), (1, 7, 9))
    inside = torch.zeros(7, 9, dtype=torch.bool)
    inside[1:5, 2:7] = True
    assert torch.equal(image[0][inside], torch.arange(20.0))
    assert (image[0][~inside] == -7).all()
    assert (image[1][~inside] == -9).all()
    assert torch.equal(reference[0] == 1, inside)
    assert counted.all()


def test_what_is_large_is_cut_anywhere(tmp_path: Path):
    sampler = sampler_of([stored(tmp_path / "a", label_of([20]))], (2, 9))
    corners = {int(sampler[number].image[0, 0, 2]) for number in range(60)}
    assert corners == {0, 5, 10}


@pytest.mark.parametrize("size", [(3, 3), (4, 9), (9, 2)])
def test_image_and_label_are_cut_alike(tmp_path: Path, size: tuple[int, int]):
    sampler = sampler_of([stored(tmp_path / "a", label_of([7, 13]))], size)
    for number in range(20):
        image, reference, _ = sampler[number]
        assert image.shape[1:] == size
        z, place = image[0].clamp_min(0) % 2, image[0] // 2
        area = torch.where(z == 0, 7, 13)
        assert torch.equal(reference[0] == 1, (image[0] >= 0) & (place < area))
