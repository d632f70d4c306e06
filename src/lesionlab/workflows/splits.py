"""Divide a dataset into training, validation and test, by patients."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from lesionlab.core.case import Case
from lesionlab.core.errors import LesionlabError, OptionError, SplitError
from lesionlab.core.labels import Labels
from lesionlab.core.split import Part, SplitRow, SplitTable, read_split
from lesionlab.core.split_rule import STRICTNESS, part_of, strictest
from lesionlab.engine.case_files import read_mask
from lesionlab.engine.case_loop import work_on_every_case
from lesionlab.layouts.opening import open_layout
from lesionlab.workflows.dealing import Patient, check_official, deal_folds, draw_share, nnunet_folds, site_folds

Kind: TypeAlias = Literal["official", "holdout", "kfold", "site", "nnunet"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Divided:
    """What a split left behind.

    Attributes:
        file: The table.
        table: What is in it.
        loads_ml: Case id -> lesion volume of its patient, as cases were stratified by it.
    """

    file: Path
    table: SplitTable
    loads_ml: dict[str, float]

    def summary(self) -> tuple["Division", ...]:
        """Return what each part and fold holds, training first."""
        keys = sorted({(row.part, -1 if row.fold is None else row.fold) for row in self.table.rows}, key=_place)
        return tuple(self._division(part, None if fold < 0 else fold) for part, fold in keys)

    def _division(self, part: Part, fold: int | None) -> "Division":
        rows = [row for row in self.table.rows if (row.part, row.fold) == (part, fold)]
        return Division(
            part=part,
            fold=fold,
            cases=len(rows),
            patients=len({row.group for row in rows}),
            sites=len({row.site for row in rows if row.site}),
            median_load_ml=float(np.median([self.loads_ml[row.id] for row in rows])),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """What one part or fold holds.

    Attributes:
        part: Of the split.
        fold: None for what is in no fold.
        cases: How many.
        patients: How many.
        sites: How many have a name.
        median_load_ml: Lesion volume per patient, over cases.
    """

    part: Part
    fold: int | None
    cases: int
    patients: int
    sites: int
    median_load_ml: float


def split(
    data: str,
    out: Path,
    *,
    kind: Kind = "kfold",
    folds: int = 5,
    share: float = 0.2,
    sealed_share: float = 0.0,
    seed: int = 0,
) -> Divided:
    """Write a table that says which case is for training, validation and test.

    Cases that the dataset itself has for validation or test stay there, whatever the kind. All cases of a patient stay
    together.

    Args:
        data: LAYOUT:FOLDER.
        out: The CSV file; one that is already there is kept when it says the same, and refused when it does not.
        kind: "official": as the dataset's authors divided it. "holdout": a share of the patients for test. "kfold":
            folds of patients with alike sites and lesion loads. "site": one fold per site. "nnunet": the folds that
            nnU-Net draws, KFold over sorted ids with seed 12345, blind to patients.
        folds: How many, for "kfold" and "nnunet".
        share: Of the patients, for "holdout".
        sealed_share: Of the patients, set aside before all else as a sealed test set.
        seed: Of all that is drawn, except by nnU-Net's rule.

    Raises:
        SplitError: There are too few patients or sites, or a patient would be in two parts or folds.
        OptionError: An option is out of its range, or the file would be overwritten.
        CasesError: Masks cannot be read; each is named with its reason.
        LesionlabError: The folder does not follow its layout.
    """
    _check_options(folds=folds, share=share, sealed_share=sealed_share, seed=seed)
    _, layout = open_layout(data)
    cases = tuple(layout.cases())
    patients = _patients(cases, layout.labels)
    generator = np.random.default_rng(seed)
    free = [patient for patient in patients if not patient.is_set_aside]
    sealed = draw_share(free, sealed_share, generator=generator) if sealed_share else set()
    left = [patient for patient in free if patient.group not in sealed]
    if not left:
        raise SplitError(
            "patients that are not set aside for validation or test",
            found="none",
            where=data,
            next_step="use another kind or share",
        )
    fold_of, test = _divide(left, kind, folds=folds, share=share, generator=generator)
    rows = [
        _row(case, fold=fold_of.get(case.id), is_sealed=case.group in sealed, is_test=case.group in test, kind=kind)
        for case in cases
    ]
    table = SplitTable(rows=tuple(rows))
    table.check_patients(where=data)
    _write_once(table, out)
    loads_ml = {case.id: patient.load_ml for patient in patients for case in patient.cases}
    return Divided(file=out, table=table, loads_ml=loads_ml)


def _divide(
    patients: Sequence[Patient], kind: Kind, *, folds: int, share: float, generator: np.random.Generator
) -> tuple[dict[str, int], set[str]]:
    """Return the fold of each case that has one, and the patients for test."""
    match kind:
        case "official":
            check_official(patients)
            return {}, set()
        case "holdout":
            return {}, draw_share(patients, share, generator=generator)
        case "kfold":
            return deal_folds(patients, folds, generator=generator), set()
        case "site":
            return site_folds(patients), set()
        case "nnunet":
            return nnunet_folds(patients, folds), set()


def _row(case: Case, *, fold: int | None, is_sealed: bool, is_test: bool, kind: Kind) -> SplitRow:
    own = None if case.split_by_fold and kind != "official" else part_of(case)
    drawn: Part = "sealed" if is_sealed else "test" if is_test else "training"
    part = strictest((own, drawn)) or "training"
    return SplitRow(id=case.id, group=case.group, site=case.site, fold=fold, part=part)


def _patients(cases: Sequence[Case], labels: Labels) -> list[Patient]:
    masked = [case for case in cases if case.label is not None]
    measured = work_on_every_case(masked, what="measuring lesions", work=partial(_load_ml, labels=labels))
    load_ml_of = dict(zip((case.id for case in masked), measured, strict=True))
    together: dict[str, list[Case]] = {}
    for case in cases:
        together.setdefault(case.group, []).append(case)
    patients = []
    for group, own in together.items():
        loads_ml = [load_ml_of[case.id] for case in own if case.id in load_ml_of]
        patients.append(
            Patient(
                group=group,
                site=own[0].site,
                category=own[0].category or "",
                load_ml=float(np.mean(loads_ml)) if loads_ml else 0.0,
                cases=tuple(own),
            )
        )
    return patients


def _load_ml(case: Case, labels: Labels) -> float:
    mask = read_mask(case, labels)
    voxels = int(np.count_nonzero(labels.regions_of(mask.array).any(axis=0)))
    return voxels * mask.grid.voxel_volume_mm3 / 1000


def _place(key: tuple[Part, int]) -> tuple[int, int]:
    return STRICTNESS.index(key[0]), key[1]


def _check_options(*, folds: int, share: float, sealed_share: float, seed: int) -> None:
    ranges = {"--folds": (folds, folds >= 2, "2 or more"), "--share": (share, 0 < share < 1, "between 0 and 1")}
    ranges["--sealed-share"] = (sealed_share, 0 <= sealed_share < 1, "0 or more and below 1")
    ranges["--seed"] = (seed, seed >= 0, "0 or more")
    for option, (value, is_sound, wanted) in ranges.items():
        if not is_sound:
            raise OptionError(
                f"a number {wanted}", found=f"{value:g}", where=option, next_step="choose a number in this range"
            )


def _write_once(table: SplitTable, path: Path) -> None:
    """Write the table, unless a file is there: people edit it.

    Raises:
        OptionError: The file says something else.
    """
    if path.exists():
        try:
            is_same = read_split(path) == table
        except LesionlabError:
            is_same = False
        if not is_same:
            raise OptionError(
                "a file that is not there yet",
                found="another split, perhaps edited by hand",
                where=path,
                next_step="choose another name, or delete the file",
            )
        return
    table.write(path)
