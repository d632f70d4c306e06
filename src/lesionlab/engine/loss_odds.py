"""Odds of slices that follow how badly the network does on each."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int
from lightning_fabric import Fabric
from torch import Tensor

from lesionlab.engine.playlist import Playlist, refreshed


class LossOdds:
    """Notes the loss on each entry of a playlist, and draws up the odds anew every so many steps.

    Args:
        playlist: Whose odds are changed; those it has now are the ones that the data alone gave.
        every_steps: Between two refreshes; 0 for none.
    """

    def __init__(self, playlist: Playlist, *, every_steps: int) -> None:
        self._playlist = playlist
        self._every_steps = every_steps
        self._given = playlist.odds
        self._losses: Float[np.ndarray, "entry"] = np.full(len(self._given), np.nan, np.float32)
        self._followed = self._losses.copy()

    @property
    def is_used(self) -> bool:
        """Whether there is any refresh, and losses are wanted."""
        return self._every_steps > 0

    def begin(self, step: int, *, last_step: int) -> int:
        """Refresh the odds if it is time; return until which step they stay."""
        if not self.is_used:
            return last_step
        if step and step % self._every_steps == 0:
            self._followed = self._losses.copy()
            self._follow()
        return min(last_step, step - step % self._every_steps + self._every_steps)

    def note(self, entries: Sequence[int], losses: Sequence[float]) -> None:
        """Remember the latest loss on each entry; what is not finite is not remembered."""
        for entry, loss in zip(entries, losses, strict=True):
            if np.isfinite(loss):
                self._losses[entry] = loss

    def gather(self, fabric: Fabric, entries: Sequence[int], losses: Sequence[float]) -> None:
        """Note the losses that this and all other processes of one training found; each calls it once a step."""
        mine = torch.tensor([entries, losses], dtype=torch.float64)
        if fabric.world_size > 1:
            together = fabric.all_gather(mine)
            assert isinstance(together, Tensor)
            mine = rearrange(together, "rank what sample -> what (rank sample)")
        self.note([int(entry) for entry in mine[0]], mine[1].tolist())

    def tensors(self) -> dict[str, Tensor]:
        """Return what a training needs to go on exactly."""
        if not self.is_used:
            return {}
        return {"losses": torch.from_numpy(self._losses.copy()), "followed": torch.from_numpy(self._followed.copy())}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what was saved."""
        if tensors:
            self._losses, self._followed = tensors["losses"].numpy().copy(), tensors["followed"].numpy().copy()
            self._follow()

    def _follow(self) -> None:
        odds: Int[np.ndarray, "entry"] = refreshed(self._given, self._followed, is_empty=self._playlist.is_empty)
        self._playlist.follow(odds)
