"""The verbs that judge and divide a dataset before anything is trained on it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from lesionlab.cli.ignored import refuse_ignored
from lesionlab.cli.made_files import name_files
from lesionlab.cli.printing import print_table
from lesionlab.cli.verbs import Data

if TYPE_CHECKING:
    from lesionlab.workflows.check import Finding
    from lesionlab.workflows.fix import Fixed

STYLES = {"error": "red", "warning": "yellow", "note": ""}
TOLD_ALONE = 5
"""More cases than this with one kind of finding share a line of the table."""


def check(
    data: Data,
    /,
    *,
    json: Annotated[Path | None, arg(metavar="FILE")] = None,
    fix: Annotated[Path | None, arg(metavar="OUT")] = None,
    midplane: bool = False,
) -> int:
    """Judge images and masks before training; exit 1 when a case cannot be used.

    Args:
        data: Layout and folder of the dataset.
        json: Also write every finding to this file.
        fix: Write a repaired copy of the dataset into this new folder, with a record of every change, and judge that.
        midplane: Also tell where the plane between the hemispheres lies in each head; seconds a case.
    """
    if fix is not None:
        refuse_ignored(check, locals(), "midplane", because="only without --fix")

    from lesionlab.workflows.check import check as run
    from lesionlab.workflows.check.finding import write_findings

    if fix is None:
        findings, made, failures = run(data, midplane=midplane), [], {}
    else:
        fixed = _fix(data, fix)
        findings, made, failures = fixed.findings, [fix, fixed.record], fixed.failures
    _show(findings)
    if json is not None:
        write_findings(json, findings, data=data)
        made.append(json)
    return name_files(made, failures=failures) or _exit_code(findings)


def _fix(data: str, out: Path) -> "Fixed":
    """Write the repaired copy, and report what was changed and which cases were left out without a failure."""
    from lesionlab.workflows.fix import fix

    fixed = fix(data, out)
    for case, file, what in fixed.changes:
        print(f"changed: {case}: {file}: {what}")
    for case, reason in fixed.left_out.items():
        if case not in fixed.failures:
            print(f"left out: {case}: {reason}")
    return fixed


def split(
    data: Data,
    out: Annotated[Positional[Path], arg(metavar="OUT.csv")],
    /,
    *,
    kind: Literal["official", "holdout", "kfold", "site", "nnunet"] = "kfold",
    folds: int = 5,
    share: float = 0.2,
    sealed_share: float = 0.0,
    seed: int = 0,
) -> int:
    """Write a table of which case is for training, validation or test; all cases of a patient stay together.

    Args:
        data: Layout and folder of the dataset.
        out: The table, for people to read and edit; train, predict and evaluate take it by the option split-file.
        kind: official: as the dataset's authors divided it; holdout: a share of the patients for test; kfold: folds
            with alike sites and lesion loads; site: one fold per site; nnunet: the folds that nnU-Net draws.
        folds: How many, for kfold and nnunet.
        share: Of the patients, for holdout.
        sealed_share: Of the patients, set aside as a test set that train and tune refuse and whose evaluations count.
        seed: Of all that is drawn; nnU-Net's folds have their own.
    """
    if kind not in ("kfold", "nnunet"):
        refuse_ignored(split, locals(), "folds", because="only with --kind kfold or nnunet")
    if kind != "holdout":
        refuse_ignored(split, locals(), "share", because="only with --kind holdout")
    if kind not in ("kfold", "holdout") and not sealed_share:
        refuse_ignored(split, locals(), "seed", because="only with --kind kfold or holdout, or --sealed-share")

    from rich.table import Table

    from lesionlab.workflows.splits import split as run

    divided = run(data, out, kind=kind, folds=folds, share=share, sealed_share=sealed_share, seed=seed)
    table = Table("part", "fold", "cases", "patients", "sites", "median lesion load")
    for line in divided.summary():
        fold = "" if line.fold is None else str(line.fold)
        numbers = (str(count) for count in (line.cases, line.patients, line.sites))
        table.add_row(line.part, fold, *numbers, f"{line.median_load_ml:.1f} ml")
    print_table(table)
    return name_files([divided.file])


def _exit_code(findings: Sequence["Finding"]) -> int:
    return 1 if any(finding.severity == "error" for finding in findings) else 0


def _show(findings: Sequence["Finding"]) -> None:
    """Print a table, errors first; many findings of one kind share a line."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    counts = {severity: sum(finding.severity == severity for finding in findings) for severity in STYLES}
    title = ", ".join(f"{count} {severity}{'s' * (count != 1)}" for severity, count in counts.items())
    table = Table(title=title)
    for column in ("severity", "rule", "case", "file", "finding"):
        table.add_column(column, no_wrap=column in ("severity", "rule"), overflow="fold")
    for severity, *cells in _lines(findings):
        table.add_row(severity, *map(escape, cells), style=STYLES[severity])
    Console(soft_wrap=True).print(table if findings else "nothing remarkable")


def _lines(findings: Sequence["Finding"]) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield severity, rule, case, file and message of each finding, or of the first of many alike."""
    kinds: dict[tuple[str, str], list[Finding]] = {}
    for finding in sorted(findings, key=lambda finding: list(STYLES).index(finding.severity)):
        kinds.setdefault((finding.severity, finding.rule), []).append(finding)
    for (severity, rule), alike in kinds.items():
        if len(alike) > TOLD_ALONE:
            cases, message = f"{len(alike)} cases, first {alike[0].case}", f"{alike[0].message} (all: --json FILE)"
            yield severity, rule, cases, Path(alike[0].where).name, message
            continue
        yield from ((severity, rule, one.case, Path(one.where).name, one.message) for one in alike)
