"""Gates stay within their bounds."""

import pytest
import torch

from lesionlab.blocks.cbam import Cbam
from lesionlab.blocks.lesion_gate import LesionGate
from lesionlab.blocks.residual import Residual


@pytest.mark.parametrize(("kind", "lowest", "highest"), [("amplify", 1, 2), ("multiply", 0, 1), ("spatial", 0, 1)])
def test_gate_lies_within_its_bounds(kind: str, lowest: float, highest: float) -> None:
    torch.manual_seed(0)
    gated = LesionGate(8, 4, kind=kind)(10 * torch.randn(2, 8, 3, 5), torch.ones(2, 4, 12, 20))
    assert lowest <= gated.min() < gated.max() <= highest
    assert (gated.std(dim=1) == 0).all() == (kind == "spatial")


def test_cbam_only_weakens() -> None:
    torch.manual_seed(0)
    features = torch.randn(2, 4, 9, 7)
    gated = Cbam(4)(features)
    assert (gated.abs() <= features.abs()).all()
    assert (gated.sign() == features.sign()).all()


def test_residual_of_equal_widths_has_no_weights_in_its_shortcut() -> None:
    assert not list(Residual(4, 4, dropout=0.0).shortcut.parameters())
    assert list(Residual(4, 8, dropout=0.0).shortcut.parameters())
