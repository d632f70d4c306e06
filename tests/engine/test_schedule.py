"""The learning rates of the published trainings, epoch by epoch."""

from pathlib import Path

import pytest
import torch

from lesionlab.engine.schedule import learning_rate


@pytest.mark.parametrize(("name", "warm_up", "peak"), [("wmh", 15, 1e-4), ("isles", 15, 1e-4), ("brats", 0, 5e-5)])
def test_agrees_with_the_published_schedule(parity: Path, name: str, warm_up: int, peak: float):
    golden = torch.load(parity / "synapse_numeric.pt", weights_only=True)["lr"][name]
    rates = [
        learning_rate(epoch, warm_up=warm_up, total=len(golden), peak=peak, final=1e-7) for epoch in range(len(golden))
    ]
    assert rates == pytest.approx(golden, rel=1e-9)


def test_beyond_the_end_it_stays_at_the_final_rate():
    assert learning_rate(12, warm_up=2, total=10, peak=1.0, final=0.25) == 0.25


def test_warm_up_alone_is_possible():
    assert [learning_rate(step, warm_up=4, total=4, peak=1.0, final=0.0) for step in range(4)] == [0.25, 0.5, 0.75, 1]
