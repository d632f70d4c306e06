"""Spatial gates: straight-through, blind to scale, and defined on constant features."""

import torch

from lesionlab.blocks.spatial_group_gate import SpatialGroupGate


def test_hard_gates_pass_the_soft_gates_gradient() -> None:
    features, direction = torch.randn(2, 4, 5, 6, 7), torch.randn(2, 2, 5, 6, 7)
    gradients = []
    for hardness in ("soft", "hard"):
        gate = SpatialGroupGate(2, hardness=hardness)
        (gate.gate_of(features) * direction).sum().backward()
        gradients.append(gate.scale.grad)
    torch.testing.assert_close(gradients[0], gradients[1])
    assert gradients[0].abs().min() > 0


def test_gates_do_not_depend_on_the_scale_of_the_features() -> None:
    gate, features = SpatialGroupGate(2, hardness="soft"), torch.randn(1, 4, 5, 6)
    torch.testing.assert_close(gate.gate_of(features), gate.gate_of(30 * features))


def test_likeness_to_the_average_opens_the_gate() -> None:
    features = torch.ones(1, 2, 4, 4)
    features[..., 0, 0] = -1
    gate = SpatialGroupGate(1, hardness="hard").gate_of(features)
    assert gate[0, 0, 0, 0] == 0
    assert gate.sum() == 15


def test_constant_features_leave_the_gate_open() -> None:
    gate = SpatialGroupGate(2, hardness="hard").gate_of(torch.full((1, 4, 3, 3), 2.0))
    assert torch.equal(gate, torch.ones(1, 2, 3, 3))


def test_mixed_precision_changes_no_gate() -> None:
    gate, features = SpatialGroupGate(2, hardness="soft"), torch.randn(1, 4, 8, 8)
    exact = gate.gate_of(features)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(gate.gate_of(features), exact)
        assert gate(features.bfloat16())[0].dtype == torch.bfloat16


def test_shapes_alone_can_be_computed() -> None:
    with torch.device("meta"):
        assert SpatialGroupGate(2, hardness="hard")(torch.zeros(1, 4, 8, 8))[1].shape == (1, 2, 8, 8)
