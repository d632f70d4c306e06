"""Whole volumes: where they are cut, how they are paired, and that a sample is a function of its position."""

from pathlib import Path

import numpy as np
import pytest
from category_cohort import head

from lesionlab.engine.checkpoint import open_checkpoint
from lesionlab.engine.store import StoredCase, store_cases
from lesionlab.engine.training_samples import make_sampler
from lesionlab.engine.whole_volumes import VolumeSampler, centred, with_mirror
from lesionlab.layouts.opening import open_layout
from lesionlab.workflows.train import Trained


@pytest.fixture
def sampler(classifier: Trained, categories: str, category_store: Path) -> VolumeSampler:
    plan = open_checkpoint(classifier.folder).plan
    found = make_sampler(plan, stored(plan, categories, category_store))
    assert isinstance(found, VolumeSampler)
    return found


def stored(plan, categories: str, folder: Path) -> tuple[StoredCase, ...]:
    _, layout = open_layout(categories)
    cases = [case for case in layout.cases() if case.id in plan.training_cases]
    return store_cases(cases, folder, modalities=("t1",), settings=plan.recipe.preprocessing, labels=plan.labels)


@pytest.mark.parametrize("size", [(36, 30, 24), (40, 32, 32), (20, 16, 10), (40, 16, 25)])
def test_the_middle_stays_the_middle(size: tuple[int, int, int]):
    image = head(0, is_ill=True)[None]
    cut = centred(image, size=size, background=(-7.0,))
    assert cut.shape == (1, *size)
    turned = centred(image[:, ::-1], size=size, background=(-7.0,))
    if all((wanted - found) % 2 == 0 for wanted, found in zip(size, image.shape[1:], strict=True)):
        np.testing.assert_array_equal(turned, cut[:, ::-1])
    if size[0] > image.shape[1]:
        assert (cut[:, 0] == -7).all()
        np.testing.assert_array_equal(cut[:, 2:38, 1:31, 4:28] if size == (40, 32, 32) else image, image)


def test_the_pair_is_the_volume_and_its_mirror_image():
    volume = np.random.default_rng(0).normal(size=(2, 4, 3, 2)).astype(np.float32)
    pair = with_mirror(volume)
    np.testing.assert_array_equal(pair[:2], volume)
    np.testing.assert_array_equal(pair[2:], volume[:, ::-1])


def test_a_sample_is_a_function_of_its_position(sampler: VolumeSampler):
    first, again, other = sampler[2], sampler[2], sampler[3]
    np.testing.assert_array_equal(first.image, again.image)
    assert not np.array_equal(first.image, other.image)
    assert first.image.shape == (2, 40, 32, 32)
    np.testing.assert_array_equal(first.image[1:], first.image[:1].flip(1))


def test_an_epoch_shows_every_case_once_with_its_own_category(sampler: VolumeSampler):
    length = len(sampler.playlist)
    places = [sampler.playlist.at(position) for position in range(length, 2 * length)]
    assert sorted(places) == list(range(length))
    references = np.stack([sampler[position].reference for position in range(length)])
    assert (references.sum(axis=1) == 1).all()
    assert references.sum(axis=0).tolist() == [length / 2, length / 2]
