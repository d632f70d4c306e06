"""The verbs that judge and divide a dataset before anything is trained on it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from lesionlab.cli.made_files import name_files
from lesionlab.cli.verbs import Data

if TYPE_CHECKING:
    from lesionlab.workflows.check import Finding

STYLES = {"error": "red", "warning": "yellow", "note": ""}
TOLD_ALONE = 5
"""More cases than this with one kind of finding share a line of the table."""


def check(
    data: Data,
    /,
    *,
    json: Annotated[Path | None, arg(metavar="FILE")] = None,
) -> int:
    """Judge images and masks before training; exit 1 when a case cannot be used.

    Args:
        data: Layout and folder of the dataset.
        json: Also write every finding to this file.
    """
    from lesionlab.workflows.check import check as run
    from lesionlab.workflows.check.finding import write_findings

    findings = run(data)
    _show(findings)
    if json is not None:
        write_findings(json, findings, data=data)
        name_files([json])
    return _exit_code(findings)


def _exit_code(findings: Sequence["Finding"]) -> int:
    return 1 if any(finding.severity == "error" for finding in findings) else 0


def _show(findings: Sequence["Finding"]) -> None:
    """Print a table, errors first; many findings of one kind share a line."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    counts = {severity: sum(finding.severity == severity for finding in findings) for severity in STYLES}
    title = ", ".join(f"{count} {severity}{'s' * (count != 1)}" for severity, count in counts.items())
    table = Table("severity", "rule", "case", "file", "finding", title=title)
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
