"""In which order the slices or cases of a training come."""

import numpy as np
from jaxtyping import Bool, Float, Int


class Playlist:
    """An endless list of entries: each epoch is one shuffle of all entries, each as often as its odds say.

    What stands at a place is a function of the seed, the place and the odds alone.

    Args:
        odds: How often each entry comes in an epoch.
        is_empty: Which entries hold no lesion.
        empty_share: Share of an epoch's places that go to entries without lesion, drawn anew for each epoch; None
            leaves them to their odds, as does a training without any lesion.
        seed: Of the plan.
    """

    def __init__(
        self,
        odds: Int[np.ndarray, "entry"],
        *,
        is_empty: Bool[np.ndarray, "entry"],
        empty_share: float | None,
        seed: int,
    ) -> None:
        self.is_empty = is_empty
        self._seed = seed
        self._is_drawn = is_empty if empty_share is not None and not is_empty.all() else np.zeros_like(is_empty)
        lesion_places = int(odds[~self._is_drawn].sum())
        share = empty_share or 0.0
        self._empty_places = round(lesion_places * share / (1 - share)) if self._is_drawn.any() else 0
        self.length = lesion_places + self._empty_places
        self.follow(odds)

    def follow(self, odds: Int[np.ndarray, "entry"]) -> None:
        """Take other odds from now on; those with lesion must have the same sum as before."""
        self.odds = odds
        self._fixed = np.repeat(np.arange(len(odds)), np.where(self._is_drawn, 0, odds))
        assert len(self._fixed) + self._empty_places == self.length, "an epoch has one length"
        self._shuffle = (-1, self._fixed)  # the latest epoch and its order, since shuffling takes time

    def __len__(self) -> int:
        return self.length

    def at(self, position: int) -> int:
        """Return the entry at `position` of the endless training."""
        epoch, place = divmod(position, self.length)
        if self._shuffle[0] != epoch:
            self._shuffle = (epoch, self._shuffled(epoch))
        return int(self._shuffle[1][place])

    def _shuffled(self, epoch: int) -> Int[np.ndarray, "place"]:
        generator = np.random.default_rng([self._seed, 0, epoch])
        if not self._empty_places:
            return generator.permutation(self._fixed)
        empties = np.resize(generator.permutation(np.flatnonzero(self._is_drawn)), self._empty_places)
        return generator.permutation(np.concatenate([self._fixed, empties]))


def refreshed(
    odds: Int[np.ndarray, "entry"], losses: Float[np.ndarray, "entry"], *, is_empty: Bool[np.ndarray, "entry"]
) -> Int[np.ndarray, "entry"]:
    """Return odds of which half stay as they were and half follow the network's loss on each entry.

    The sums of entries with lesion and of those without stay what they were, so that an epoch's length does.

    Args:
        odds: Those that the data alone gave.
        losses: Latest of each entry; NaN where it was not seen yet, which counts as the mean.
        is_empty: Which entries hold no lesion.
    """
    found = odds.copy()
    for kind in (is_empty, ~is_empty):
        known = losses[kind]
        mean = float(np.nanmean(known)) if np.isfinite(known).any() else 0.0
        if mean > 0:
            ratio = np.clip(np.nan_to_num(known, nan=mean) / mean, 0, None)
            found[kind] = _whole(odds[kind] * (1 + ratio) / 2, total=int(odds[kind].sum()))
    return found


def _whole(wanted: Float[np.ndarray, "entry"], *, total: int) -> Int[np.ndarray, "entry"]:
    """Return whole numbers in proportion to `wanted` with the given sum, by largest remainders."""
    exact = wanted * (total / wanted.sum())
    floor = np.floor(exact).astype(int)
    largest = np.argsort(floor - exact, kind="stable")[: total - int(floor.sum())]
    floor[largest] += 1
    return np.asarray(floor)
