"""One step: in parts as in one piece, and never with a gradient that is not finite."""

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision import MixedPrecision
from torch import Tensor, nn

from lesionlab.core.errors import OptionError
from lesionlab.core.network import Output
from lesionlab.engine.descent import Descent, take_step
from lesionlab.engine.sample import Sample
from lesionlab.engine.training_state import load_optimiser, optimiser_tensors


class Scale(nn.Module):
    """A network of one convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(2, 1, 3, padding=1)

    def forward(self, image: Tensor, present: Tensor | None = None) -> Output:
        return Output(logits=self.body(image if present is None else image * present[:, :, None, None]))


class Squares(nn.Module):
    def forward(self, output: Output, reference: Tensor, *, counted: Tensor | None = None) -> Tensor:
        assert counted is None or counted.all()
        return (output.logits - reference).square().mean()


class LittleMemory(Squares):
    """As a device that holds at most so many samples."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def forward(self, output: Output, reference: Tensor, *, counted: Tensor | None = None) -> Tensor:
        if len(reference) > self.most:
            raise torch.OutOfMemoryError("no memory for it")
        return super().forward(output, reference, counted=counted)


def batch(size: int = 6) -> Sample:
    generator = torch.Generator().manual_seed(1)
    image = torch.randn(size, 2, 5, 5, generator=generator)
    return Sample(image, (image[:, :1] > 0).float(), torch.ones(size, 1, 5, 5, dtype=torch.bool))


def descent(loss: nn.Module, *, parts: int = 1, is_itemised: bool = False) -> Descent:
    torch.manual_seed(0)
    network = Scale()
    fabric = Fabric(accelerator="cpu", devices=1)
    wrapped, optimiser = fabric.setup(network, torch.optim.AdamW(network.parameters(), lr=0.1))
    return Descent(
        fabric, network=wrapped, optimiser=optimiser, loss=loss, clip_norm=1.0, parts=parts, is_itemised=is_itemised
    )


def weights_of(one: Descent) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in one._network.parameters()])


@pytest.mark.parametrize("parts", [2, 4, 6, 9])
def test_parts_add_up_to_the_whole(parts: int):
    """Six samples in four parts are parts of unequal size."""
    whole, divided = descent(Squares()), descent(Squares(), parts=parts)
    first, second = (one.step(batch(), present=None, seed=0) for one in (whole, divided))
    assert second.loss == pytest.approx(first.loss, rel=1e-6)
    torch.testing.assert_close(weights_of(whole), weights_of(divided), rtol=1e-5, atol=1e-7)


def test_what_is_left_out_has_no_influence():
    present = torch.tensor([[True, False]] * 6)
    first, second = descent(Squares(), parts=1), descent(Squares(), parts=3)
    seen, other = batch(), batch()
    other.image[:, 1] = 77.0
    assert first.step(seen, present=present, seed=0).loss == pytest.approx(
        second.step(other, present=present, seed=0).loss
    )


def test_each_sample_s_loss_is_told_when_asked_for():
    found = descent(Squares(), parts=4, is_itemised=True).step(batch(), present=None, seed=0)
    assert len(found.losses) == 6
    assert sum(found.losses) / 6 == pytest.approx(found.loss, rel=1e-5)
    assert descent(Squares()).step(batch(), present=None, seed=0).losses == ()


def test_no_memory_is_answered_by_smaller_parts(caplog: pytest.LogCaptureFixture):
    small, whole = descent(LittleMemory(2)), descent(Squares())
    found, expected = small.step(batch(), present=None, seed=0), whole.step(batch(), present=None, seed=0)
    assert small.parts == 4
    assert found.loss == pytest.approx(expected.loss, rel=1e-6)
    torch.testing.assert_close(weights_of(small), weights_of(whole), rtol=1e-5, atol=1e-7)
    assert "the batch of 6 now goes through in 4 parts" in caplog.text


def test_no_memory_for_one_sample_is_an_error():
    with pytest.raises(OptionError, match="memory for one sample at a time"):
        descent(LittleMemory(0)).step(batch(), present=None, seed=0)


def test_other_failures_are_not_taken_for_it():
    with pytest.raises(RuntimeError, match="size of tensor"):
        descent(Squares()).step(batch()._replace(reference=torch.zeros(6, 1, 4, 4)), present=None, seed=0)


def test_a_loss_scaler_that_begins_too_high_comes_down_and_is_saved():
    """As on GPUs without bfloat16: steps that overflow in float16 are left out, then it learns."""
    torch.manual_seed(0)
    network = nn.Linear(4, 1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24)
    precision = MixedPrecision("16-mixed", "cpu", scaler=scaler)
    fabric = Fabric(accelerator="cpu", devices=1, plugins=precision)
    wrapped, optimiser = fabric.setup(network, torch.optim.AdamW(network.parameters(), lr=0.1))

    def backward() -> Tensor:
        loss = (wrapped(torch.ones(2, 4)).float() - 5).square().mean()
        fabric.backward(loss)
        return loss

    steps = [take_step(fabric, wrapped, optimiser, backward=backward, clip_norm=9.0) for _ in range(40)]
    is_finite = [step[1] for step in steps]
    assert is_finite == sorted(is_finite)
    assert is_finite[0] is False
    assert is_finite[-1] is True
    assert steps[-1][0] < steps[0][0]
    saved = optimiser_tensors(optimiser, fabric)
    reached = scaler.get_scale()
    scaler.update(2.0**24)
    load_optimiser(saved, optimiser, fabric)
    assert scaler.get_scale() == reached
