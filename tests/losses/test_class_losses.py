"""Losses of exclusive classes against PyTorch's own."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention

from lesionlab.core.network import Output
from lesionlab.losses.class_cross_entropy import ClassCrossEntropy
from lesionlab.losses.class_focal import ClassFocal

WEIGHTS = (0.5, 1.0, 3.0)


def drawn() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return 2 * torch.randn(8, 3, generator=generator), torch.randint(0, 3, (8,), generator=generator)


def one_hot(number: torch.Tensor) -> torch.Tensor:
    return F.one_hot(number, 3).float()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_pytorchs(smoothing: float):
    logits, number = drawn()
    found = ClassCrossEntropy(smoothing=smoothing)(Output(logits=logits), one_hot(number))
    torch.testing.assert_close(found, F.cross_entropy(logits, number, label_smoothing=smoothing))


def test_a_case_costs_its_class_s_weight():
    logits, number = drawn()
    found = ClassCrossEntropy(weights=WEIGHTS)(Output(logits=logits), one_hot(number))
    wanted = F.cross_entropy(logits, number, weight=torch.tensor(WEIGHTS), reduction="none").mean()
    torch.testing.assert_close(found, wanted)


def test_focal_without_focus_is_cross_entropy():
    logits, number = drawn()
    plain = ClassFocal(gamma=0.0, weights=WEIGHTS)(Output(logits=logits), one_hot(number))
    torch.testing.assert_close(plain, ClassCrossEntropy(weights=WEIGHTS)(Output(logits=logits), one_hot(number)))


def test_focal_discounts_by_what_was_missed():
    logits, number = drawn()
    own = torch.softmax(logits, dim=1)[torch.arange(8), number]
    found = ClassFocal(gamma=2.0)(Output(logits=logits), one_hot(number))
    torch.testing.assert_close(found, (-((1 - own) ** 2) * own.log()).mean())


def test_weights_of_another_number_of_classes_are_a_bug():
    logits, number = drawn()
    with pytest.raises(AssertionError, match="2 weights for 3 classes"):
        ClassCrossEntropy(weights=(1.0, 2.0))(Output(logits=logits), one_hot(number))
