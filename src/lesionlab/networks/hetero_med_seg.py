"""HeteroMedSeg: an encoder of state-space layers, gated skip connections, a decoder of routed attention."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from pydantic import PositiveFloat
from torch import Tensor, nn

from lesionlab.blocks.bi_level_routing import BiLevelBlock
from lesionlab.blocks.fit_image import cut_back, fit_image
from lesionlab.blocks.patch_expand import PatchExpand
from lesionlab.blocks.scsa import Scsa
from lesionlab.blocks.state_space import StateSpaceBlock
from lesionlab.core.errors import OptionError
from lesionlab.core.network import Output, network
from lesionlab.core.numbers import FractionBelowOne, NonNegativeInt, PositiveInt
from lesionlab.networks.hetero_med_seg_published import read_biformer, read_published, read_vssd

STRIDE = 32
"""Pixels of the input per token of the deepest level."""

LEVEL_STRIDES = (16, 8, 4)
"""Pixels of the input per token of the three decoder levels, coarsest first."""

MLP_RATIO = 3.0
"""How many times more channels the hidden layer of a decoder block's perceptron has."""

PUBLISHED_BOTTLENECK = 2
"""Blocks that the published odds of leaving branches out count at the bottleneck, whether they run or not."""


@network("hetero_med_seg")
class HeteroMedSeg(nn.Module):
    """HeteroMedSeg for any number of modalities and any image of more than 32 pixels along a side.

    ==================  ==================  ==============  ========================================================
    option              as published        default         why
    ==================  ==================  ==============  ========================================================
    `ssd`               causal              noncausal       the paper's figure and text say non-causal; the released
                                                            code never turns it on
    `entry_norm`        True                False           a norm on entry discards the residual stream at every
                                                            decoder block; neither figure nor BiFormer has it
    `bottleneck_depth`  0 (2 built, never   0               14 million parameters that no image reaches
                        run)
    ==================  ==================  ==============  ========================================================

    Differs: sides need be equal neither to each other nor to a multiple of 224 (the image is padded with its own edge,
    the logits are cropped); windows keep their size in pixels instead of their number, which is the same on the
    published 224x224 (7x7 windows) and 256x256 (8x8).

    Args:
        modalities: How many modalities the image has; a lone one is repeated to three channels, as published.
        regions: How many logits a pixel gets.
        ssd: What tokens of the encoder see of each other: all, earlier ones, or earlier and later ones by halves of
            the heads. The first two take the same weights.
        bottleneck_depth: State-space blocks of the deepest level; the paper's figure has 2.
        entry_norm: Whether a decoder block normalises its tokens on entry as well.
        width: Channels of the finest level, which double at each of the three coarser ones; a multiple of
            `head_channels`.
        head_channels: Channels of the tokens per head of scans and of routed attention.
        state_size: Rows of the state of a scan's head.
        encoder_depths: State-space blocks of the three finer levels, finest first.
        encoder_mlp_ratio: How many times more channels the hidden layer of an encoder block's perceptron has; VSSD,
            whose weights can start the encoder, has 4.
        decoder_depths: Blocks of the three decoder levels, coarsest first.
        routes: Windows that each window of a decoder level looks at, coarsest first.
        skip_heads: Groups of channels that are compared in each skip connection, coarsest first.
        window_pixels: Side of a window of the decoder in pixels of the image; a multiple of 16.
        drop_path: Odds that the deepest block's branches are left out in training; rising from 0 in the encoder and in
            each decoder level.

    Raises:
        OptionError: The options do not fit each other.

    Source: Yuyan-Bin/Synergistic-Network, commit 1a70e62.
    Arithmetic: 15.2 GFLOP.
    Published: Synapse CT Dice 0.840.
    """

    spatial_dims: ClassVar[Literal[2, 3]] = 2
    starts: ClassVar[dict[str, Callable[[Mapping[str, Tensor]], dict[str, Tensor]]]] = {
        "vssd": read_vssd,
        "biformer": read_biformer,
    }

    def __init__(
        self,
        *,
        modalities: PositiveInt,
        regions: PositiveInt,
        ssd: Literal["noncausal", "causal", "bidirectional"] = "noncausal",
        bottleneck_depth: NonNegativeInt = 0,
        entry_norm: bool = False,
        width: PositiveInt = 96,
        head_channels: PositiveInt = 32,
        state_size: PositiveInt = 64,
        encoder_depths: tuple[PositiveInt, PositiveInt, PositiveInt] = (2, 2, 2),
        encoder_mlp_ratio: PositiveFloat = 3.0,
        decoder_depths: tuple[PositiveInt, PositiveInt, PositiveInt] = (8, 2, 2),
        routes: tuple[PositiveInt, PositiveInt, PositiveInt] = (8, 4, 2),
        skip_heads: tuple[PositiveInt, PositiveInt, PositiveInt] = (16, 12, 8),
        window_pixels: PositiveInt = 32,
        drop_path: FractionBelowOne = 0.2,
    ) -> None:
        super().__init__()
        _check_options(width, head_channels=head_channels, skip_heads=skip_heads, window_pixels=window_pixels)
        self.modalities, self.stride = modalities, math.lcm(STRIDE, window_pixels)
        self.stem_channels = 3 if modalities == 1 else modalities
        widths = (width, 2 * width, 4 * width, 8 * width)
        heads = [channels // head_channels for channels in widths]
        block = partial(StateSpaceBlock, state_size=state_size, order=ssd, mlp_ratio=encoder_mlp_ratio)
        self.downsamplers = nn.ModuleList(_downsamplers(self.stem_channels, widths))
        self.stages = nn.ModuleList(_stages(block, widths, heads, (*encoder_depths, bottleneck_depth), drop_path))
        self.levels = nn.ModuleList(
            _DecoderLevel(
                widths[2 - level],
                skip_heads=skip_heads[level],
                depth=decoder_depths[level],
                heads=heads[2 - level],
                window=window_pixels // LEVEL_STRIDES[level],
                routes=routes[level],
                drop_path=drop_path,
                has_entry_norm=entry_norm,
            )
            for level in range(3)
        )
        self.norm = nn.LayerNorm(width)
        self.expand = PatchExpand(width, channels_out=width, factor=LEVEL_STRIDES[-1])
        self.head = nn.Linear(width, regions, bias=False)
        self.apply(_initialise)

    @staticmethod
    def read_published(weights: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return the options that published weights fit, and the weights under this network's names."""
        return read_published(weights)

    def forward(
        self,
        image: Float[Tensor, "batch modality height width"],
        present: Bool[Tensor, "batch modality"] | None = None,
    ) -> Output:
        """Return logits at the image's size.

        Args:
            image: More than 32 pixels along a side, and more than `window_pixels`.
            present: False for a modality that was not measured, which then counts as zeros. None: all are.

        Raises:
            ImageError: The image is too small, or has another number of modalities.
        """
        fitted = fit_image(image, present, modalities=self.modalities, strides=(self.stride, self.stride))
        tokens = self._decoded(self._encoded(fitted.expand(-1, self.stem_channels, -1, -1)))
        # Only the logits, not the many channels before them, are brought to the image's size.
        pieces = self.head(self.expand.pieces(self.norm(tokens)))
        logits = rearrange(self.expand.lay_out(pieces), "batch y x region -> batch region y x")
        return Output(logits=cut_back(logits, tuple(image.shape[2:]), strides=(1, 1)))

    def _encoded(self, image: Float[Tensor, "batch _ height width"]) -> list[Float[Tensor, "batch _ _ _"]]:
        """Return the tokens of the four levels, finest first."""
        levels: list[Tensor] = []
        features = image
        for downsampler, stage in zip(self.downsamplers, self.stages, strict=True):
            # A downsampler's features have their channels last in memory, so that tokens are a view of them.
            tokens = stage(rearrange(downsampler(features), "batch c y x -> batch y x c"))
            features = rearrange(tokens, "batch y x c -> batch c y x")
            levels.append(tokens)
        return levels

    def _decoded(self, levels: list[Float[Tensor, "batch _ _ _"]]) -> Float[Tensor, "batch _ _ _"]:
        tokens = levels[-1]
        for level, skip in zip(self.levels, levels[-2::-1], strict=True):
            tokens = level(tokens, skip)
        return tokens


class _DecoderLevel(nn.Module):
    """Coarse tokens are made finer, join the gated skip connection, and pass blocks of routed attention."""

    def __init__(
        self,
        channels: PositiveInt,
        *,
        skip_heads: int,
        depth: int,
        heads: int,
        window: int,
        routes: int,
        drop_path: float,
        has_entry_norm: bool,
    ) -> None:
        super().__init__()
        self.expand = PatchExpand(2 * channels, channels_out=channels, factor=2)
        self.skip = Scsa(2 * channels, heads=skip_heads)
        self.merge = nn.Linear(2 * channels, channels)
        self.blocks = nn.Sequential(
            *(
                BiLevelBlock(
                    channels,
                    heads=heads,
                    window=window,
                    routes=routes,
                    mlp_ratio=MLP_RATIO,
                    drop_path=odds,
                    has_entry_norm=has_entry_norm,
                )
                for odds in _rising(drop_path, depth)
            )
        )

    def forward(
        self, tokens: Float[Tensor, "batch coarse_y coarse_x _"], skip: Float[Tensor, "batch y x channel"]
    ) -> Float[Tensor, "batch y x channel"]:
        """Return tokens on the grid of the skip connection."""
        joined = self.skip(torch.cat([self.expand(tokens), skip], dim=-1))
        result: Tensor = self.blocks(self.merge(joined))
        return result


def _downsamplers(channels_in: int, widths: Sequence[int]) -> Iterator[nn.Sequential]:
    """Yield the stem, which divides the sides by four, and three convolutions that halve them."""
    first = _halving(channels_in, widths[0] // 2)
    yield nn.Sequential(*first, nn.GELU(), *_halving(widths[0] // 2, widths[0]))
    for before, after in pairwise(widths):
        yield nn.Sequential(*_halving(before, after))


def _halving(channels_in: int, channels_out: int) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    return nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1), nn.BatchNorm2d(channels_out)


def _stages(
    block: Callable[..., nn.Module],
    widths: Sequence[int],
    heads: Sequence[int],
    depths: Sequence[int],
    drop_path: float,
) -> Iterator[nn.Sequential]:
    odds = iter(_rising(drop_path, sum(depths[:-1]) + max(depths[-1], PUBLISHED_BOTTLENECK)))
    for channels, count, depth in zip(widths, heads, depths, strict=True):
        yield nn.Sequential(*(block(channels, heads=count, drop_path=next(odds)) for _ in range(depth)))


def _rising(last: float, count: int) -> list[float]:
    """Return `count` numbers in equal steps from 0 to `last`."""
    return [last * index / max(1, count - 1) for index in range(count)]


def _initialise(module: nn.Module) -> None:
    if not isinstance(module, nn.Linear):
        return
    nn.init.trunc_normal_(module.weight, std=0.02)
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def _check_options(width: int, *, head_channels: int, skip_heads: tuple[int, int, int], window_pixels: int) -> None:
    wrong = []
    if width % head_channels or width % 2:
        wrong.append(f"width {width} for {head_channels} channels per head")
    joined = (8 * width, 4 * width, 2 * width)
    wrong += [
        f"{heads} heads for {channels}" for heads, channels in zip(skip_heads, joined, strict=True) if channels % heads
    ]
    if window_pixels % LEVEL_STRIDES[0]:
        wrong.append(f"windows of {window_pixels} pixels")
    if not wrong:
        return
    raise OptionError(
        f"an even width that head_channels divides, skip_heads that divide {joined}, windows of 16, 32, ... pixels",
        found=", ".join(wrong),
        where="options 'width', 'head_channels', 'skip_heads', 'window_pixels'",
        next_step="change the option that was found",
    )
