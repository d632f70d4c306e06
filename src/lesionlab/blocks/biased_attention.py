"""Attention with a learned bias, fast and small also where the bias is being learned on a CPU."""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import FunctionCtx, once_differentiable

_CACHED = 2**17
"""Attention logits that are held at once on the way back: four such arrays of float32 fit a core's cache."""


def biased_attention(
    query: Float[Tensor, "batch head token channel"],
    key: Float[Tensor, "batch head token channel"],
    value: Float[Tensor, "batch head token channel"],
    *,
    bias: Float[Tensor, "heads token token"] | None,
) -> Float[Tensor, "batch head token channel"]:
    """Return softmax(query key' / sqrt(channels) + bias) value without ever holding all attention logits.

    Args:
        query: Who asks.
        key: Whom they ask.
        value: What they get.
        bias: Added to the logits of every batch item, for each head or for all alike; None adds nothing.
    """
    if bias is None:
        return F.scaled_dot_product_attention(query, key, value)
    is_learned = torch.is_grad_enabled() and bias.requires_grad
    if is_learned and query.device.type == "cpu" and not torch.compiler.is_compiling():
        shared = bias.expand(query.shape[1], -1, -1).to(query.dtype).contiguous()
        gathered: Tensor = _LearnedBias.apply(query, key, value, shared)  # type: ignore[no-untyped-call]
        return gathered
    # A bias that was gathered from a table has its heads innermost, which triples the time.
    return F.scaled_dot_product_attention(query, key, value, attn_mask=bias[None].to(query.dtype).contiguous())


class _LearnedBias(Function):
    """torch's fused attention on a CPU with the gradient of the bias, which torch leaves to an unfused formula."""

    @staticmethod
    def forward(ctx: FunctionCtx, query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
        gathered: Tensor
        with torch.autocast("cpu", enabled=False):
            # scaled_dot_product_attention would choose this kernel too, but keeps the logarithm of the sums to itself.
            gathered, log_sum = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
                query, key, value, attn_mask=bias.expand(query.shape[0], -1, -1, -1)
            )
        ctx.save_for_backward(query, key, value, bias, gathered, log_sum)
        return gathered

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        query, key, value, bias, gathered, log_sum = ctx.saved_tensors  # type: ignore[attr-defined]
        with torch.autocast("cpu", enabled=False):
            found = _gradients(query, key, value, bias.to(log_sum.dtype), gathered, log_sum[..., None], gradient)
        first, second, third, fourth = (part.to(query.dtype) for part in found)
        return first, second, third, fourth


def _gradients(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor, gathered: Tensor, log_sum: Tensor, gradient: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Recompute the attention of a few batch items at a time, and sum up the bias's gradient as they pass.

    A last channel is appended so that two subtractions cost nothing: query key' - log(sum), and the softmax's own.
    """
    exact, scale = log_sum.dtype, query.shape[-1] ** -0.5
    one = torch.ones_like(log_sum)
    mean = (gradient.to(exact) * gathered.to(exact)).sum(-1, keepdim=True)
    asked = torch.cat([query.to(exact) * scale, -log_sum], dim=-1)
    met = torch.cat([key.to(exact), one], dim=-1)
    wanted = torch.cat([gradient.to(exact), -mean], dim=-1)
    given = torch.cat([value.to(exact), one], dim=-1)
    of_heads = [
        _gradients_of_head(*(part[:, head] for part in (asked, met, wanted, given)), bias=bias[head])
        for head in range(len(bias))
    ]
    of_query, of_key, of_value, of_bias = zip(*of_heads, strict=True)
    return (
        torch.stack(of_query, dim=1) * scale,
        torch.stack(of_key, dim=1),
        torch.stack(of_value, dim=1),
        torch.stack(of_bias),
    )


def _gradients_of_head(
    asked: Tensor, met: Tensor, wanted: Tensor, given: Tensor, *, bias: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    of_bias = torch.zeros_like(bias)
    chunk = max(1, _CACHED // bias.numel())
    parts = []
    for query, key, gradient, value in zip(
        *(torch.split(part, chunk) for part in (asked, met, wanted, given)), strict=True
    ):
        share = torch.bmm(query, key.mT).add_(bias).exp_()
        of_value = torch.bmm(share.mT, gradient[..., :-1])
        of_logits = torch.bmm(gradient, value.mT).mul_(share)
        of_bias += of_logits.sum(0) if len(query) > 1 else of_logits[0]
        parts.append((torch.bmm(of_logits, key[..., :-1]), torch.bmm(of_logits.mT, query[..., :-1]), of_value))
    of_query, of_key, of_value = (torch.cat(part) for part in zip(*parts, strict=True))
    return of_query, of_key, of_value, of_bias
