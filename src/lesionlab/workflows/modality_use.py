"""Which file or series of each case became which modality, what was not found, and what was left alone."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from lesionlab.core.case import Case, Modality
from lesionlab.core.errors import LayoutError, OptionError
from lesionlab.core.layout import Layout
from lesionlab.core.registry import nearest_name
from lesionlab.layouts.modality_names import modality_named

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

NAMED = 4
"""No more cases, and no more things that were ignored, are named in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModalityUse:
    """What is used of one case.

    Attributes:
        used: Modality -> name of its file or series, with the channel or key where the file holds several images.
        missing: Modalities that were asked for and that the case lacks.
        ignored: Images of other modalities, then what the layout left alone, and why.
    """

    used: dict[Modality, str]
    missing: tuple[Modality, ...]
    ignored: tuple[str, ...]

    @classmethod
    def of(cls, case: Case, modalities: Sequence[Modality]) -> "ModalityUse":
        """Return what is used of a case when these modalities are asked for."""
        names = {name: _image_name(case, name) for name in case.images}
        others = (f"{name} = {image}" for name, image in names.items() if name not in modalities)
        return cls(
            used={name: names[name] for name in modalities if name in names},
            missing=tuple(name for name in modalities if name not in names),
            ignored=(*others, *case.notes),
        )

    def __str__(self) -> str:
        """Return all of it in one line."""
        used = [f"{modality} = {image}" for modality, image in self.used.items()]
        return _line(used, missing=self.missing, ignored=self.ignored)


def report_use(cases: Sequence[Case], modalities: Sequence[Modality]) -> dict[str, str]:
    """Log what is used of the cases, one line for all that are alike; return every case's own line by id.

    A modality that no case has is a warning, even where the network has learnt to do without.

    Args:
        cases: At least one.
        modalities: What the network was or will be trained with, in its order; of a dataset alone, all that it has.
    """
    uses = {case.id: ModalityUse.of(case, modalities) for case in cases}
    alike: dict[tuple[tuple[Modality, ...], tuple[Modality, ...], bool], list[str]] = {}
    for case_id, use in uses.items():
        alike.setdefault((tuple(use.used), use.missing, bool(use.ignored)), []).append(case_id)
    for ids in alike.values():
        logger.info("%s: %s", _names(ids, total=len(uses)), _common_line([uses[case_id] for case_id in ids]))
    for name in modalities:
        if all(name in use.missing for use in uses.values()):
            logger.warning("no case has %s: check the names of files, series and columns", name)
    return {case_id: str(use) for case_id, use in uses.items()}


def missing_of(case: Case, required: Sequence[Modality]) -> tuple[Modality, ...]:
    """Return the required modalities that a case lacks."""
    return tuple(name for name in required if name not in case.images)


def checked(work: Callable[[Case], Result], *, required: Sequence[Modality]) -> Callable[[Case], Result]:
    """Return the work of a case that refuses one without a required modality, by a LayoutError."""

    def check_and_work(case: Case) -> Result:
        missing = missing_of(case, required)
        if missing:
            raise LayoutError(
                f"the required modality {' and '.join(missing)}",
                found="only " + str(ModalityUse.of(case, tuple(case.images))).removeprefix("used: "),
                where=f"case {case.id}",
                next_step="add its file, correct its name, or leave out --require",
            )
        return work(case)

    return check_and_work


def prediction_key(case: Case, *, modalities: Sequence[Modality], settings: Any, required: Sequence[Modality]) -> str:
    """Return the key of all that the prediction of a case depends on: also whether it is refused."""
    settings = [settings, missing_of(case, required)]
    return case.content_key(modalities, settings=settings, with_reference=False)


def required_modalities(names: Sequence[str], modalities: Sequence[Modality]) -> tuple[Modality, ...]:
    """Return a network's names of modalities that a user requires, spelt in any usual way.

    Raises:
        OptionError: The network knows no such modality.
    """
    matches = {name: next((one for one in modalities if _is_same(one, name)), None) for name in names}
    for name, modality in matches.items():
        if modality is None:
            raise OptionError(
                f"a modality of the network ({', '.join(modalities)})",
                found=repr(name),
                where="--require",
                next_step=nearest_name(name, list(modalities)),
            )
    return tuple(modality for modality in matches.values() if modality is not None)


class MatchedLayout:
    """A layout whose modalities carry the names that a network knows them by.

    Args:
        layout: Where the cases are.
        names: Name in the layout -> the network's.
    """

    def __init__(self, layout: Layout, names: Mapping[Modality, Modality]) -> None:
        self.folder = layout.folder
        self.modalities = tuple(names.get(name, name) for name in layout.modalities)
        self.labels = layout.labels
        self.citation = layout.citation
        self._layout = layout
        self._names = names

    def cases(self) -> Iterator[Case]:
        """Yield the layout's cases.

        Raises:
            LayoutError: As the layout.
        """
        for case in self._layout.cases():
            images = {self._names.get(name, name): path for name, path in case.images.items()}
            parts = {self._names.get(name, name): part for name, part in case.parts.items()}
            yield replace(case, images=images, parts=parts)


def match_modalities(layout: Layout, modalities: Sequence[Modality]) -> Layout:
    """Return the layout with its modalities named as a network names them, and log every name that differs.

    A name that is the same in both stays. Others match without regard to capitals, and by the usual spellings of
    `lesionlab.layouts.modality_names`: ``T1w`` is ``t1``, ``T2f`` is ``flair``.

    Args:
        layout: Of the dataset.
        modalities: The network's names.

    Raises:
        LayoutError: Several modalities of the dataset could be the same one of the network.
    """
    names: dict[Modality, Modality] = {}
    for wanted in (name for name in modalities if name not in layout.modalities):
        free = [name for name in layout.modalities if name not in modalities and name not in names]
        alike = [name for name in free if _is_same(name, wanted)]
        if len(alike) > 1:
            raise LayoutError(
                f"one modality that is {wanted}",
                found=" and ".join(alike),
                where=layout.folder,
                next_step=f"name the one that is meant {wanted!r}",
            )
        names |= dict.fromkeys(alike, wanted)
    if not names:
        return layout
    logger.info("%s", ", ".join(f"{wanted} is {name} of the dataset" for name, wanted in names.items()))
    return MatchedLayout(layout, names)


def _is_same(first: str, second: str) -> bool:
    return modality_named(first) == modality_named(second)


def _image_name(case: Case, modality: Modality) -> str:
    part = case.image_names.get(modality) or case.parts.get(modality, "")
    return case.images[modality].name + (f" [{part}]" if part else "")


def _common_line(uses: Sequence[ModalityUse]) -> str:
    """Return one line for cases with the same modalities; names of files are in it where they are the same."""
    names = {modality: {use.used[modality] for use in uses} for modality in uses[0].used}
    used = [f"{name} = {next(iter(images))}" if len(images) == 1 else name for name, images in names.items()]
    ignored = tuple(dict.fromkeys(text for use in uses for text in use.ignored))
    more = (f"and {len(ignored) - NAMED} more",) if len(ignored) > NAMED else ()
    return _line(used, missing=uses[0].missing, ignored=(*ignored[:NAMED], *more))


def _line(used: Sequence[str], *, missing: Sequence[str], ignored: Sequence[str]) -> str:
    groups = {"used": used or ["nothing"], "not found": missing, "ignored": ignored}
    return "; ".join(f"{what}: {', '.join(texts)}" for what, texts in groups.items() if texts)


def _names(ids: Sequence[str], *, total: int) -> str:
    if len(ids) == total > 1:
        return f"all {total} cases"
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    return ("case " if len(ids) == 1 else f"{len(ids)} cases: ") + ", ".join(ids[:NAMED]) + more
