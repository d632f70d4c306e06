"""Windows are cut and joined without loss, and hide exactly what they should."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionlab.blocks.relative_bias import RelativeBias
from lesionlab.blocks.window_attention import WindowAttention
from lesionlab.blocks.windows import Windows, cut_windows

CPU = torch.device("cpu")
grids = st.lists(st.integers(1, 13), min_size=2, max_size=3).map(tuple)


def cut(grid: tuple[int, ...], *, window: int = 8, is_shifted: bool, rule: str = "correct") -> Windows:
    return cut_windows(grid, window=window, is_shifted=is_shifted, rule=rule, device=CPU)


def mask_of(windows: Windows) -> torch.Tensor:
    """Return one mask per window instead of one per kind."""
    counts = torch.tensor([len(members) for members in windows.members])
    return windows.masks.repeat_interleave(counts, dim=0)[windows.places]


@settings(max_examples=40)
@given(
    grid=grids,
    window=st.integers(1, 8),
    is_shifted=st.booleans(),
    rule=st.sampled_from(["reference", "monai", "correct"]),
)
def test_merge_undoes_split(grid: tuple[int, ...], window: int, is_shifted: bool, rule: str) -> None:
    windows = cut(grid, window=window, is_shifted=is_shifted, rule=rule)
    tokens = torch.arange(2 * math.prod(grid) * 3, dtype=torch.float32).reshape(2, *grid, 3)
    assert torch.equal(windows.merge(windows.split(tokens)), tokens)


@settings(max_examples=40)
@given(grid=grids, window=st.integers(1, 6), is_shifted=st.booleans())
def test_correct_windows_show_real_tokens_that_no_roll_has_joined(
    grid: tuple[int, ...], window: int, is_shifted: bool
) -> None:
    windows = cut(grid, window=window, is_shifted=is_shifted)
    places = torch.stack(torch.meshgrid(*(torch.arange(1.0, size + 1) for size in grid), indexing="ij"), dim=-1)
    held = windows.split(places[None])[0]  # the place of each token, counted from 1; 0 for padding
    is_real = (held > 0).all(-1)
    inside = torch.stack(torch.meshgrid(*(torch.arange(1.0, side + 1) for side in windows.window), indexing="ij"), -1)
    inside = inside.reshape(1, -1, len(grid))
    is_neighbour = ((held[:, :, None] - held[:, None]) == (inside[:, :, None] - inside[:, None])).all(-1)
    wanted = is_neighbour & is_real[:, :, None] & is_real[:, None]
    shown = torch.ones_like(wanted) if windows.masks is None else mask_of(windows) == 0
    both_real = is_real[:, :, None] & is_real[:, None]
    assert torch.equal(shown & both_real, wanted)
    assert not (shown & (is_real[:, :, None] ^ is_real[:, None])).any()
    assert shown.any(-1).all(), "a softmax over nothing is NaN"


def test_published_mask_blocks_most_of_the_first_window() -> None:
    blocked = cut((13, 13), is_shifted=True, rule="reference").masks[0] != 0
    assert blocked.float().mean() == pytest.approx(0.72, abs=0.01)
    assert cut((13, 13), is_shifted=False, rule="reference").masks is None


def test_a_grid_of_whole_windows_needs_no_mask() -> None:
    assert cut((16, 8), is_shifted=False).masks is None
    assert cut((8, 5), is_shifted=True).masks is None


def test_attention_equals_the_sum_over_visible_tokens() -> None:
    torch.manual_seed(0)
    attention = WindowAttention(8, heads=2, window=(4, 4), position="learned").double()
    torch.nn.init.normal_(attention.relative_bias.table)
    tokens = torch.randn(2, 6, 5, 8, dtype=torch.float64)
    query, key, value = attention.qkv(tokens).reshape(2, 6, 5, 3, 2, 4).unbind(3)
    gathered = torch.zeros(2, 6, 5, 2, 4, dtype=torch.float64)
    places = list(itertools.product(range(6), range(5)))
    window_of = {place: ((place[0] + 2) // 4, (place[1] + 2) // 4) for place in places}  # shifted by half a window
    table = attention.relative_bias.table.reshape(7, 7, 2)
    for y, x in places:
        seen = [place for place in places if window_of[place] == window_of[y, x]]
        logits = torch.stack(
            [(query[:, y, x] * key[:, v, u]).sum(-1) / 2 + table[y - v + 3, x - u + 3] for v, u in seen]
        )
        share = logits.softmax(0)
        gathered[:, y, x] = sum(weight[..., None] * value[:, v, u] for weight, (v, u) in zip(share, seen, strict=True))
    wanted = attention.out(gathered.flatten(3))
    result = attention(tokens, cut((6, 5), window=4, is_shifted=True))
    torch.testing.assert_close(result, wanted)


def test_bias_of_a_small_window_is_the_inner_part_of_the_table() -> None:
    bias = RelativeBias((4, 4), heads=1)
    torch.nn.init.normal_(bias.table)
    large, small = bias((4, 4)).reshape(4, 4, 4, 4), bias((2, 3)).reshape(2, 3, 2, 3)
    assert torch.equal(large[:2, :3, :2, :3], small)
