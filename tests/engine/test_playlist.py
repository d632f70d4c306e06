"""In which order slices come: shares of empty ones, and odds that follow the loss."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lesionlab.engine.loss_odds import LossOdds
from lesionlab.engine.playlist import Playlist, refreshed

EMPTY = np.array([True, True, True, True, False, False])
ODDS = np.array([1, 1, 1, 1, 5, 9])


def playlist(empty_share: float | None = None, *, is_empty: np.ndarray = EMPTY) -> Playlist:
    return Playlist(ODDS, is_empty=is_empty, empty_share=empty_share, seed=3)


def epoch_of(chosen: Playlist, number: int) -> np.ndarray:
    places = range(number * len(chosen), (number + 1) * len(chosen))
    return np.bincount([chosen.at(place) for place in places], minlength=len(ODDS))


def test_without_a_share_every_epoch_has_the_odds():
    assert [epoch_of(playlist(), number).tolist() for number in range(2)] == [ODDS.tolist()] * 2


@pytest.mark.parametrize(("share", "empties"), [(0.0, 0), (0.125, 2), (0.5, 14)])
def test_a_share_of_an_epoch_is_empty(share: float, empties: int):
    chosen = playlist(share)
    assert len(chosen) == 14 + empties
    found = epoch_of(chosen, 0)
    assert found[EMPTY].sum() == empties
    assert found[~EMPTY].tolist() == [5, 9]


def test_other_empty_slices_come_in_other_epochs():
    chosen = playlist(0.125)
    assert len({tuple(epoch_of(chosen, number)) for number in range(8)}) > 1


def test_a_share_of_what_is_not_there_is_left_out():
    assert len(playlist(0.5, is_empty=np.zeros(6, bool))) == ODDS.sum()
    assert len(playlist(0.5, is_empty=np.ones(6, bool))) == ODDS.sum()


@given(st.lists(st.floats(0, 50) | st.just(float("nan")), min_size=6, max_size=6))
def test_odds_that_follow_the_loss_keep_their_sums(losses: list[float]):
    found = refreshed(ODDS, np.array(losses), is_empty=EMPTY)
    assert (found >= 0).all()
    assert found[EMPTY].sum() == 4
    assert found[~EMPTY].sum() == 14


def test_where_the_loss_is_high_the_odds_rise():
    found = refreshed(np.full(4, 10), np.array([0.0, 1.0, 2.0, np.nan]), is_empty=np.zeros(4, bool))
    assert found.tolist() == [5, 10, 15, 10]


def test_odds_are_refreshed_in_time_and_gone_on_with():
    first, second = playlist(), playlist()
    odds = LossOdds(first, every_steps=4)
    assert odds.begin(0, last_step=10) == 4
    odds.note([4, 5], [9.0, 1.0])
    assert odds.begin(2, last_step=10) == 4
    assert first.odds.tolist() == ODDS.tolist()
    assert odds.begin(4, last_step=10) == 8
    assert first.odds[4] > 5
    odds.note([4], [0.0])
    resumed = LossOdds(second, every_steps=4)
    resumed.load(odds.tensors())
    assert second.odds.tolist() == first.odds.tolist()
    assert [one.begin(8, last_step=10) for one in (odds, resumed)] == [10, 10]
    assert second.odds.tolist() == first.odds.tolist()
    assert first.odds[4] < 5


def test_without_refresh_nothing_is_kept():
    odds = LossOdds(playlist(), every_steps=0)
    assert odds.begin(3, last_step=10) == 10
    assert odds.tensors() == {}
    assert not torch.is_tensor(odds.is_used)
    assert not odds.is_used


def test_a_loss_that_is_no_number_is_not_remembered():
    odds = LossOdds(playlist(), every_steps=1)
    odds.note([0, 1], [float("inf"), 2.0])
    assert odds.tensors()["losses"].isfinite().tolist() == [False, True, False, False, False, False]
