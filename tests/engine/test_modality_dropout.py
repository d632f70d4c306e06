"""Which modalities a training sample lacks."""

import numpy as np
import torch
from tiny_training import RECIPE

from lesionlab.core.recipe import Recipe, parse_recipe
from lesionlab.engine.modality_dropout import channels_of, draw_presence


def recipe(odds: float, *, neighbours: int = 0) -> Recipe:
    import tomllib

    content = tomllib.loads(RECIPE)
    content["training"]["modality_dropout"] = odds
    content["sampling"]["neighbours"] = neighbours
    return parse_recipe(content, where="test")


def test_none_are_left_out_unless_asked_for():
    assert draw_presence(range(8), recipe(0.0)) is None


def test_one_always_stays_and_the_odds_hold():
    shown = draw_presence(range(2000), recipe(0.5))
    assert shown is not None
    assert shown.any(dim=1).all()
    # each alone 1/4 and, of the quarter that would lack both, half each; both together 1/4
    counts = {pair: int((shown == torch.tensor(pair)).all(dim=1).sum()) for pair in ((True, False), (False, True))}
    assert all(abs(count / 2000 - 0.375) < 0.04 for count in counts.values())


def test_the_draw_is_a_function_of_the_position():
    together, alone = draw_presence([5, 6, 7], recipe(0.4)), draw_presence([6], recipe(0.4))
    assert together is not None
    assert alone is not None
    assert torch.equal(together[1:2], alone)


def test_neighbouring_slices_come_and_go_with_their_modality():
    found = channels_of(np.array([[True, False]]), recipe(0.5, neighbours=1))
    assert found.tolist() == [[True, False, True, False, True, False]]
