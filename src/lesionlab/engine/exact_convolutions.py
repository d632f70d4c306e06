"""Convolutions over thin volumes that keep float32 when a processor trains in bfloat16."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lesionlab.blocks.full_precision import full_precision


def keep_thin_convolutions_exact(network: nn.Module) -> None:
    """Let 3-D convolutions of a network leave bfloat16 where the library's gradient of their weights is not defined.

    On processors with bfloat16 instructions, oneDNN (as in PyTorch 2.13, `jit_bf16:avx512_core_bf16`) reads and writes
    memory that is not its own when it computes that gradient for a padded kernel which nowhere lies whole inside the
    volume: for a kernel of 3 in volumes 2 voxels thick, as at the deepest level of many networks. The gradient is then
    arbitrary, most often without being infinite. GPUs and other sizes are not affected, nor is float32 with the kernels
    of our networks.

    Args:
        network: Changed in place; its weights and their names stay.
    """
    for layer in network.modules():
        if type(layer) is nn.Conv3d:
            layer.__class__ = _ExactConv3d


class _ExactConv3d(nn.Conv3d):
    """3-D convolution: in float32 over volumes so thin that its padded kernel nowhere lies whole inside."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        convolve: Callable[..., Tensor] = super()._conv_forward
        if input.device.type != "cpu" or not torch.is_autocast_enabled("cpu") or not self._is_thin(input):
            return convolve(input, weight, bias)
        with full_precision(input.device):
            exact = convolve(input.float(), weight, bias)
        return exact.to(torch.get_autocast_dtype("cpu"))

    def _is_thin(self, volume: Tensor) -> bool:
        """Return whether along some axis no position of the padded kernel is certain to lie inside the volume."""
        if self.padding == "valid":
            return False
        axes = zip(volume.shape[2:], self.kernel_size, self.stride, self.dilation, strict=True)
        return any(wide > 1 and side < apart * (wide - 1) + step for side, wide, step, apart in axes)
