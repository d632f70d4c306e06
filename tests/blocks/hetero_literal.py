"""The operators of HeteroMedSeg word for word, as slow and as large as their definitions.

Tests hold the fast formulations against these; the benchmark measures both. The operators on a whole module take the
module and its input, so that they can stand in for its ``forward``.
"""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from einops import rearrange
from torch import Tensor, nn

from lesionlab.blocks.bi_level_routing import BiLevelRouting
from lesionlab.blocks.patch_expand import PatchExpand
from lesionlab.blocks.scsa import POOL, Scsa


def causal_scan(values: Tensor, *, keys: Tensor, queries: Tensor, step: Tensor, decay: Tensor) -> Tensor:
    """Token by token."""
    batch, length, heads, channels = values.shape
    state = values.new_zeros(batch, heads, keys.shape[-1], channels)
    read = []
    for token in range(length):
        kept = torch.exp(-decay * step[:, token])[..., None, None]
        written = torch.einsum("bn,bhc->bhnc", keys[:, token], step[:, token, :, None] * values[:, token])
        state = kept * state + written
        read.append(torch.einsum("bn,bhnc->bhc", queries[:, token], state))
    return torch.stack(read, dim=1)


def noncausal_scan(values: Tensor, *, keys: Tensor, queries: Tensor, step: Tensor, decay: Tensor) -> Tensor:
    """Head by head: every head gets its own copy of keys and queries."""
    heads = values.shape[2]
    weighted = rearrange(values * (step * decay)[..., None], "b token head c -> b head token c")
    keys, queries = (part[:, None].repeat(1, heads, 1, 1) for part in (keys, queries))
    state = keys.transpose(2, 3) @ weighted
    return rearrange(queries @ state, "b head token c -> b token head c").contiguous()


def depthwise(conv: nn.Conv2d, tokens: Tensor) -> Tensor:
    """Channels first and back, in memory."""
    maps = rearrange(tokens, "b y x c -> b c y x").contiguous()
    mixed = F.conv2d(maps, conv.weight, conv.bias, padding=conv.padding, groups=conv.groups)
    return rearrange(mixed, "b c y x -> b y x c").contiguous()


def bi_level_routing(module: BiLevelRouting, tokens: Tensor) -> Tensor:
    """Cut all, project all, expand the keys and values of all windows, gather along an index of five axes."""
    height = tokens.shape[1]
    side, heads = module.window, module.heads
    windows = rearrange(tokens, "b (i y) (j x) c -> b (i j) (y x) c", y=side, x=side)
    query, key_value = module.qkv(windows).split((tokens.shape[-1], 2 * tokens.shape[-1]), dim=-1)
    key, value = key_value.chunk(2, dim=-1)
    match = query.mean(2).detach() @ key.mean(2).detach().transpose(1, 2) * module.scale
    chosen = match.topk(min(module.routes, match.shape[-1]), dim=-1).indices
    batch, count, length, channels = key_value.shape
    gathered = key_value[:, None].expand(-1, count, -1, -1, -1)
    index = chosen[..., None, None].expand(-1, -1, -1, length, channels)
    keys, values = torch.gather(gathered, 2, index).chunk(2, dim=-1)
    query = rearrange(query, "b w token (head c) -> (b w) head token c", head=heads)
    keys = rearrange(keys, "b w route token (head c) -> (b w) head c (route token)", head=heads)
    values = rearrange(values, "b w route token (head c) -> (b w) head (route token) c", head=heads)
    found = torch.softmax((query * module.scale) @ keys, dim=-1) @ values
    pattern = "(b i j) head (y x) c -> b (i y) (j x) (head c)"
    found = rearrange(found, pattern, b=batch, i=height // side, y=side)
    value = rearrange(value, "b (i j) (y x) c -> b (i y) (j x) c", i=height // side, y=side)
    return module.merge(found + depthwise(module.position, value))


def scsa(module: Scsa, tokens: Tensor) -> Tensor:
    """Queries, keys and values as maps of their own; the mean over places comes last."""
    maps = rearrange(tokens, "b y x c -> b c y x").contiguous()
    for profile, norm, axis in ((maps.mean(3), module.norm_y, 3), (maps.mean(2), module.norm_x, 2)):
        parts = zip(module.profiles, profile.chunk(4, dim=1), strict=True)
        gate = torch.sigmoid(norm(torch.cat([conv(part) for conv, part in parts], dim=1))).unsqueeze(axis)
        gated = maps * gate if axis == 3 else gated * gate
    pooled = module.norm(F.avg_pool2d(gated, (min(POOL, maps.shape[2]), min(POOL, maps.shape[3]))))
    query, key, value = (
        rearrange(pooled * scale[:, None, None], "b (head c) y x -> b head c (y x)", head=module.heads)
        for scale in (module.query, module.key, module.value)
    )
    match = query @ key.transpose(2, 3) * module.scale
    found = match.softmax(-1) @ value
    found = rearrange(found, "b head c place -> b (head c) place").mean(-1)
    return rearrange(gated * torch.sigmoid(found)[..., None, None], "b c y x -> b y x c").contiguous()


def patch_expand(module: PatchExpand, tokens: Tensor) -> Tensor:
    """Lay the pieces out before they are normalised."""
    expanded = module.expand(tokens)
    return module.norm(rearrange(expanded, "b y x (p q c) -> b (y p) (x q) c", p=module.factor, q=module.factor))
