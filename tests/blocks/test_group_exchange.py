"""Groups see each other, and nothing that is absent."""

import torch

from lesionlab.blocks.group_exchange import GroupExchange


def test_absent_tokens_change_nobody_else() -> None:
    torch.manual_seed(0)
    exchange = GroupExchange(8, heads=2)
    first, second = torch.randn(2, 4, 8), torch.randn(2, 6, 8)
    present = (torch.ones(2, 4, dtype=torch.bool), torch.ones(2, 6, dtype=torch.bool))
    present[1][0, 3:] = False
    other = second.clone()
    other[0, 3:] = 7.0
    kept, changed = (exchange((first, tokens), present) for tokens in (second, other))
    assert torch.equal(kept[0], changed[0])
    assert torch.equal(kept[1][:, :3], changed[1][:, :3])
    shorter = exchange((first[:1], second[:1, :3]), (present[0][:1], present[1][:1, :3]))
    torch.testing.assert_close(kept[0][:1], shorter[0])


def test_a_group_without_counterpart_gathers_nothing() -> None:
    torch.manual_seed(0)
    exchange = GroupExchange(8, heads=2)
    first, second = torch.randn(1, 4, 8), torch.randn(1, 6, 8)
    enriched, _ = exchange((first, second), (torch.ones(1, 4) > 0, torch.zeros(1, 6) > 0))
    torch.testing.assert_close(enriched, exchange.norm_first(first))
