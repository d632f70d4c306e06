"""What a check says about a dataset, and the file that keeps it."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from lesionlab.core.errors import LesionlabError
from lesionlab.core.storage import write_text_atomically

Severity: TypeAlias = Literal["error", "warning", "note"]

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing about one case, or about the whole dataset, that a reader should know.

    Attributes:
        rule: Short name of what was asked ("spacing", "label-empty"); the same in every version.
        severity: "error": the case cannot be used; "warning": it can, but look at it; "note": nothing is wrong.
        case: The id of the case; empty for the dataset as a whole.
        where: The file or files.
        wanted: What was expected, as a noun phrase.
        found: What was met instead.
        next_step: What to do about it.
    """

    rule: str
    severity: Severity
    case: str
    where: str
    wanted: str
    found: str
    next_step: str

    @classmethod
    def of(cls, error: LesionlabError, *, rule: str, case: str) -> "Finding":
        """Make a finding of a refusal."""
        return cls(
            rule=rule,
            severity="error",
            case=case,
            where=error.where,
            wanted=error.wanted,
            found=error.found,
            next_step=error.next_step,
        )

    @property
    def message(self) -> str:
        """The finding in one plain line, without severity, case and file."""
        return f"wanted {self.wanted}; found {self.found}; next: {self.next_step}"


def write_findings(path: Path, findings: Sequence[Finding], *, data: str) -> None:
    """Write findings as JSON: format, data, how many of each severity, and the findings with all their fields.

    Raises:
        StorageError: The file could not be written whole.
    """
    counts = Counter(finding.severity for finding in findings)
    content = {
        "format": FORMAT,
        "data": data,
        "counts": {severity: counts[severity] for severity in ("error", "warning", "note")},
        "findings": [asdict(finding) for finding in findings],
    }
    write_text_atomically(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
