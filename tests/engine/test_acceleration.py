"""Faster or smaller, and the same."""

import copy

import pytest
import torch
from test_descent import Scale, Squares, batch
from torch import nn

from lesionlab.core.network import Output, network
from lesionlab.core.recipe import Training
from lesionlab.engine.acceleration import compile_or_not, lay_out
from lesionlab.engine.memory import activation_bytes
from lesionlab.engine.sample import Sample

COMPILING = pytest.mark.filterwarnings("ignore:.*script_method.*:DeprecationWarning")  # inside PyTorch's compiler


def built(name: str, **options: object) -> nn.Module:
    import lesionlab.networks  # noqa: F401

    torch.manual_seed(0)
    return network.build(name, modalities=2, regions=1, **options)


NARROW = {"widths": (4, 4, 8, 8, 8), "token_channels": 8, "heads": 2, "token_grid": 2}


def sample(*sides: int) -> Sample:
    image = torch.randn(2, 2, *sides, generator=torch.Generator().manual_seed(2))
    return Sample(image, (image[:, :1] > 0.5).float(), torch.ones(2, 1, *sides, dtype=torch.bool))


def gradients(module: nn.Module, seen: Sample) -> list[torch.Tensor]:
    torch.manual_seed(5)
    Squares()(module(seen.image), seen.reference).backward()
    return [parameter.grad for parameter in module.parameters() if parameter.grad is not None]


def test_recomputing_needs_less_memory_and_gives_the_same_gradients():
    plain = built("synapse_net", **NARROW)
    frugal = lay_out(copy.deepcopy(plain), Training(recompute=True))
    assert frugal.state_dict().keys() == plain.state_dict().keys()
    seen = sample(32, 32)
    before, after = (activation_bytes(module, Squares(), sample=seen) for module in (plain, frugal))
    assert after < 0.7 * before
    for first, second in zip(gradients(plain, seen), gradients(frugal, seen), strict=True):
        torch.testing.assert_close(first, second)


def test_channels_last_changes_the_layout_alone():
    plain = built("synapse_net", **NARROW, dropout=0.0, drop_path=0.0)
    laid_out = lay_out(copy.deepcopy(plain), Training(channels_last=True))
    assert any(
        weight.dim() == 4 and weight.shape[1] > 1 and weight.is_contiguous(memory_format=torch.channels_last)
        for weight in laid_out.parameters()
    )
    seen = sample(32, 32)
    torch.testing.assert_close(plain(seen.image).logits, laid_out(seen.image).logits, rtol=1e-4, atol=1e-5)


class Uncompilable(nn.Module):
    """Works only as long as nobody compiles it."""

    def __init__(self) -> None:
        super().__init__()
        self.body = Scale()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, image: torch.Tensor) -> Output:
        if self._compiled_call_impl is not None:
            raise NotImplementedError("no compiler takes this")
        self.calls += 1
        output: Output = self.body(image)
        return output


@pytest.mark.slow
@COMPILING
def test_what_does_not_compile_is_trained_without_and_said_once(caplog: pytest.LogCaptureFixture):
    module = Uncompilable()
    assert not compile_or_not(module, module, loss=Squares(), sample=batch(1))
    assert [record.message for record in caplog.records if "torch.compile does not work here" in record.message]
    assert float(module.calls) == 0
    assert all(parameter.grad is None for parameter in module.parameters())
    assert module(batch(1).image).logits.shape == (1, 1, 5, 5)


@pytest.mark.slow
@COMPILING
def test_what_compiles_gives_the_same():
    plain = Scale()
    compiled = copy.deepcopy(plain)
    assert compile_or_not(compiled, compiled, loss=Squares(), sample=batch(1))
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    torch.testing.assert_close(plain(batch().image).logits, compiled(batch().image).logits)
