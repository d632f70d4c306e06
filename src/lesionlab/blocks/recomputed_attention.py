"""Attention inside windows with a learned bias, which recomputes on the way back instead of remembering."""

import math
from collections.abc import Iterator
from itertools import product

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import FunctionCtx, once_differentiable

from lesionlab.blocks.windows import Windows

_TOKENS = 2**11
"""Tokens that are projected at once."""
_LOGITS = 2**19
"""Attention logits that are held at once on the way back: few enough for a processor's cache."""


def recomputed_attention(
    tokens: Float[Tensor, "batch *grid channel"],
    windows: Windows,
    *,
    project: nn.Linear,
    out: nn.Linear,
    bias: Float[Tensor, "head token token"],
) -> Float[Tensor, "batch *grid channel"]:
    """Return what each token gathered from its window, on the same grid; on a CPU only.

    A few windows pass at a time, so that neither logits nor queries, keys and values are ever held for all.

    Args:
        tokens: Who asks and is asked.
        windows: How the grid is cut.
        project: Gives query, key and value, in this order, each with its heads one after another.
        out: Mixes what the heads gathered.
        bias: Added to the logits of every window; what `windows` blocks comes on top.
    """
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else tokens.dtype
    # A bias that was gathered from a table has its heads innermost, which triples the time.
    parts = (tokens.flatten(1, -2), project.weight, project.bias, out.weight, out.bias, bias.contiguous())
    with torch.autocast("cpu", enabled=False):
        found: Tensor = _RecomputedAttention.apply(windows, *(part.to(dtype) for part in parts))  # type: ignore[no-untyped-call]
    return found.view(tokens.shape)


class _RecomputedAttention(Function):
    """torch's fused attention between two projections, with the gradient of the bias that torch lacks on a CPU."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        windows: Windows,
        tokens: Tensor,
        weight: Tensor,
        shift: Tensor,
        out_weight: Tensor,
        out_shift: Tensor,
        bias: Tensor,
    ) -> Tensor:
        gathered = tokens.new_empty(len(tokens), windows.rows.numel(), tokens.shape[-1])
        result, log_sums = torch.empty_like(tokens), []
        for rows, place, total in _blocks(windows, bias, batch=len(tokens)):
            asked = _asked(_take(tokens, rows), weight, shift, bias)
            # scaled_dot_product_attention would choose this kernel too, but keeps the logarithm of the sums to itself.
            found, log_sum = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
                *asked, attn_mask=total.expand(asked.shape[1], -1, -1, -1)
            )
            gathered[:, place] = found.transpose(1, 2).reshape(len(tokens), len(rows), -1)
            _put(F.linear(gathered[:, place], out_weight, out_shift), rows, into=result)
            log_sums.append(log_sum)
        ctx.save_for_backward(tokens, weight, shift, out_weight, bias, gathered, *log_sums)
        ctx.windows = windows  # type: ignore[attr-defined]
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        tokens, weight, shift, out_weight, bias, gathered, *log_sums = ctx.saved_tensors  # type: ignore[attr-defined]
        exact = log_sums[0].dtype
        of_tokens = torch.empty_like(tokens)
        of_weight, of_shift, of_out_weight, of_bias = (
            torch.zeros_like(part, dtype=exact) for part in (weight, shift, out_weight, bias)
        )
        blocks = _blocks(ctx.windows, bias.to(exact), batch=len(tokens))  # type: ignore[attr-defined]
        with torch.autocast("cpu", enabled=False):
            for (rows, place, total), log_sum in zip(blocks, log_sums, strict=True):
                taken, found = _take(tokens, rows), gathered[:, place].to(exact)
                given = _take(gradient, rows).to(exact)
                of_out_weight += given.flatten(0, 1).mT @ found.flatten(0, 1)
                asked, wanted = _asked(taken, weight, shift, bias).to(exact), given @ out_weight.to(exact)
                of_asked = _of_asked(asked, total, log_sum, wanted=wanted, found=found, of_bias=of_bias)
                _put((of_asked @ weight.to(exact)).view(taken.shape).to(tokens.dtype), rows, into=of_tokens)
                of_weight += of_asked.mT @ taken.flatten(0, 1).to(exact)
                of_shift += of_asked.sum(0)
        of_parts = (of_weight, of_shift, of_out_weight, gradient.sum((0, 1), dtype=exact), of_bias)
        return None, of_tokens, *(part.to(tokens.dtype) for part in of_parts)


def _blocks(windows: Windows, bias: Tensor, *, batch: int) -> Iterator[tuple[Int[Tensor, " row"], slice, Tensor]]:
    """Yield the tokens of a few windows of one kind, their place among all, and what is added to their logits."""
    rows, size = windows.rows, math.prod(windows.window)
    step, end = max(1, _TOKENS // (batch * size)), 0
    for kind, members in enumerate(windows.members):
        total = bias if windows.masks is None else bias + windows.masks[kind].to(bias.dtype)
        start, end = end, end + len(members)
        for first in range(start, end, step):
            last = min(first + step, end)
            yield rows[first:last].flatten(), slice(first * size, last * size), total


def _asked(
    tokens: Tensor, weight: Tensor, shift: Tensor, bias: Tensor
) -> Float[Tensor, "three window head token channel"]:
    """Return query, key and value."""
    heads, size = bias.shape[:2]
    return F.linear(tokens, weight, shift).view(-1, size, 3, heads, len(weight) // (3 * heads)).permute(2, 0, 3, 1, 4)


def _of_asked(
    asked: Float[Tensor, "three window head token channel"],
    bias: Float[Tensor, "head token token"],
    log_sum: Float[Tensor, "window head token"],
    *,
    wanted: Float[Tensor, "batch row all_channels"],
    found: Float[Tensor, "batch row all_channels"],
    of_bias: Float[Tensor, "head token token"],
) -> Float[Tensor, "all_rows three_all_channels"]:
    """Return the gradient of query, key and value, and add the bias's to `of_bias`.

    A last channel is appended so that two subtractions cost nothing: query key' - log(sum), and the softmax's own.
    Powers of two stand in for those of e, which a CPU takes ten times as long for where a logit is minus infinity.
    """
    count, heads, size, channels = asked.shape[1:]
    scale = channels**-0.5
    by_head = (count, size, heads, channels)
    mean = (wanted * found).view(by_head).sum(-1).permute(2, 0, 1)
    one = torch.ones_like(mean)
    appended = torch.stack([-log_sum.transpose(0, 1) / math.log(2), one, one])[..., None]
    asked = torch.cat([asked.transpose(1, 2), appended], dim=-1)
    asked[0, ..., :-1] *= scale / math.log(2)
    wanted = torch.cat([wanted.view(by_head).permute(2, 0, 1, 3), -mean[..., None]], dim=-1)
    bias = bias / math.log(2)
    of_asked = asked.new_empty(3, heads, count, size, channels)
    step = max(1, _LOGITS // size**2)
    for head, first in product(range(heads), range(0, count, step)):
        part = slice(first, first + step)
        query, key, value = asked[:, head, part]
        gradient = wanted[head, part]
        share = torch.bmm(query, key.mT).add_(bias[head]).exp2_()
        of_logits = torch.bmm(gradient, value.mT).mul_(share)
        torch.bmm(of_logits, key[..., :-1], out=of_asked[0, head, part])
        torch.bmm(of_logits.mT, query[..., :-1], out=of_asked[1, head, part])
        torch.bmm(share.mT, gradient[..., :-1], out=of_asked[2, head, part])
        of_bias[head] += of_logits.sum(0)
    of_asked[0] *= scale
    of_asked[1] *= math.log(2)
    return of_asked.permute(2, 3, 0, 1, 4).reshape(count * size, -1)


def _take(tokens: Tensor, rows: Tensor) -> Tensor:
    """Return these tokens, and zeros for padding."""
    found = tokens.index_select(1, rows.clamp(min=0))
    return found if rows.min() >= 0 else found.masked_fill_((rows < 0)[:, None], 0)


def _put(part: Tensor, rows: Tensor, *, into: Tensor) -> None:
    """Write these tokens to their places; padding has none."""
    is_real = rows >= 0
    into.index_copy_(1, rows[is_real], part[:, is_real])
