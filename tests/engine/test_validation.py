"""Several processes share the cases of a validation, and all come to one score."""

from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightning_fabric import Fabric
from torch import Tensor, nn

from lesionlab.core.plan import Plan
from lesionlab.engine import validation
from lesionlab.engine.store import StoredCase


class Rank(Fabric):
    """One of several processes with a device of its own: what it sums up with the others is a copy that was moved."""

    def __init__(self, rank: int, world: int, moved: list[Tensor]) -> None:
        super().__init__(accelerator="cpu", devices=1)
        self._rank, self._world, self._moved = rank, world, moved

    @property
    def global_rank(self) -> int:
        return self._rank

    @property
    def world_size(self) -> int:
        return self._world

    def all_reduce(self, data: Tensor, group: None = None, reduce_op: str = "mean") -> Tensor:  # type: ignore[override]  # noqa: ARG002
        assert reduce_op == "sum"
        self._moved.append(data.clone())
        return sum(self._moved[1:], self._moved[0])


@pytest.fixture(scope="module", autouse=True)
def _score_of_a_case_is_its_name() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validation, "predict_masks", lambda *_: np.zeros((1, 1, 1, 1), bool))
        patch.setattr(validation, "draw_snapshot", lambda *_, **__: np.zeros((1, 1, 3), np.uint8))
        patch.setattr(validation, "case_dice", lambda masks, case, plan: float(case.id))  # noqa: ARG005
        yield


@given(scores=st.lists(st.floats(0, 1), min_size=1, max_size=9), world=st.integers(2, 4))
def test_the_score_is_the_mean_over_the_cases_of_all_processes(scores: list[float], world: int) -> None:
    cases = [Mock(spec=StoredCase, id=str(score)) for score in scores]
    plan = Mock(spec=Plan, recipe=Mock(), labels=Mock())
    moved: list[Tensor] = []
    for rank in range(world):
        found = validation.validate(nn.Identity(), cases, plan, fabric=Rank(rank, world, moved))
    assert found.score == pytest.approx(np.mean(scores))
