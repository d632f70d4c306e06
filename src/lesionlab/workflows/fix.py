"""Write a repaired copy of a dataset, and a record of every change."""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lesionlab.core.case import Case
from lesionlab.core.errors import LayoutError, LesionlabError, OptionError
from lesionlab.core.folder_lock import has_files, lock_folder
from lesionlab.core.layout import Layout
from lesionlab.core.progress import track
from lesionlab.core.split_rule import strictest
from lesionlab.core.storage import write_text_atomically
from lesionlab.layouts.opening import open_layout
from lesionlab.workflows.check import Finding, check
from lesionlab.workflows.repairing import HEADER_RULES, Change, repair_case

RECORD_FILE = "repairs.json"
FORMAT = 1
HOPELESS = frozenset({"constant"})
"""Errors that no rewriting of files can repair, beside files that cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """What a repair left behind.

    Attributes:
        record: Names every change and every case that was left out.
        changes: Case, file and what was done, in words.
        left_out: Case id -> why the copy does not hold it.
        findings: What a check of the copy says.
    """

    record: Path
    changes: tuple[tuple[str, str, str], ...]
    left_out: dict[str, str]
    findings: tuple[Finding, ...]


def fix(data: str, out: Path) -> Fixed:
    """Write a copy of a dataset in which what can be repaired is, and check the copy.

    Images and masks are brought to the grid of the first image (headers aligned where only they are wrong, resampled
    otherwise, masks by nearest neighbour), masks are rounded or binarised, and doubtful headers are written afresh; a
    file of several volumes is changed as a whole. A mask that is a few pixels larger or smaller than its picture is
    brought to its size. What was written is read back. Cases that cannot be used are left out; so are all but the test
    cases of a patient who is in several parts. Everything else is copied as it is; hidden files are not. Nothing in the
    dataset is changed.

    Args:
        data: LAYOUT:FOLDER.
        out: A new folder, or one that an earlier call wrote; the copy has the same layout.

    Raises:
        OptionError: `out` holds something else, or lies in the dataset.
        LayoutError: The folder does not follow its layout, or no case of it can be repaired.
        StorageError: A file could not be written whole.
        FolderInUseError: Another command is writing into `out`.
    """
    name, layout = open_layout(data)
    _check_out(out, layout.folder)
    with lock_folder(out):
        return _fix(data, name, layout, out=out)


def _fix(data: str, name: str, layout: Layout, *, out: Path) -> Fixed:
    cases = tuple(layout.cases())
    found = check(data)
    left_out = _hopeless(found) | _leaking(found, cases)
    changes: list[Change] = []
    for case in track(cases, what="repairing", total=len(cases)):
        if case.id not in left_out:
            try:
                changes += _write_case(case, layout, out=out, findings=found)
            except LesionlabError as error:
                left_out[case.id] = str(error)
    _copy_others(layout.folder, cases, out=out, left_out=left_out, written={change.file for change in changes})
    told = tuple((change.case, str(change.file.relative_to(layout.folder)), change.what) for change in changes)
    findings = check(f"{name}:{out}") if len(left_out) < len(cases) else ()
    record = {
        "format": FORMAT,
        "data": data,
        "changes": [dict(zip(("case", "file", "what"), change, strict=True)) for change in told],
        "left_out": [{"case": case, "reason": reason} for case, reason in left_out.items()],
        "findings_of_the_copy": [asdict(finding) for finding in findings],
    }
    write_text_atomically(out / RECORD_FILE, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    if len(left_out) == len(cases):
        raise LayoutError(
            "at least one case that can be used or repaired",
            found=f"none of {len(cases)}; the first, {next(iter(left_out))}: {next(iter(left_out.values()))}",
            where=out / RECORD_FILE,
            next_step="repair them by hand",
        )
    return Fixed(record=out / RECORD_FILE, changes=told, left_out=left_out, findings=findings)


def _check_out(out: Path, folder: Path) -> None:
    is_inside = folder.resolve() in (out.resolve(), *out.resolve().parents)
    is_file = out.exists() and not out.is_dir()
    is_taken = is_file or (has_files(out) and not (out / RECORD_FILE).exists())
    if is_inside or is_taken:
        raise OptionError(
            "a new folder outside the dataset",
            found="one inside it" if is_inside else "a file" if is_file else "a folder with other files",
            where=out,
            next_step="choose another folder",
        )


def _write_case(case: Case, layout: Layout, *, out: Path, findings: Sequence[Finding]) -> list[Change]:
    """Write the changed files of a case, only when all of them can be repaired."""
    doubtful = {Path(finding.where) for finding in findings if finding.case == case.id and finding.rule in HEADER_RULES}
    changes = list(repair_case(case, layout.labels, headers=doubtful))
    for change in changes:
        place = out / change.file.relative_to(layout.folder)
        change.write(place)
    return changes


def _copy_others(
    folder: Path, cases: Sequence[Case], *, out: Path, left_out: dict[str, str], written: set[Path]
) -> None:
    """Copy what was not written, but for the files of cases that are left out and of none that stays.

    Of those, what an earlier call or half a repair wrote is removed.
    """
    dropped = {file for case in cases if case.id in left_out for file in case.files}
    kept = {file for case in cases if case.id not in left_out for file in case.files}
    for path in dropped - kept:
        if path.is_file():
            (out / path.relative_to(folder)).unlink(missing_ok=True)
    for path in _visible_files(folder):
        if path not in written and path not in dropped - kept:
            place = out / path.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)


def _visible_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        is_hidden = any(part[0] == "." for part in path.relative_to(folder).parts)
        if path.is_file() and not is_hidden and path.name != RECORD_FILE:
            yield path


def _hopeless(findings: Sequence[Finding]) -> dict[str, str]:
    return {finding.case: finding.message for finding in findings if finding.rule in HOPELESS}


def _leaking(findings: Sequence[Finding], cases: Sequence[Case]) -> dict[str, str]:
    """Return the cases that would have to leave their part because test or validation shows the same patient."""
    leaking: dict[str, str] = {}
    for finding in findings:
        if finding.rule in ("leaked-patient", "leaked-copy"):
            shared = [case for case in cases if _is_named(case, finding, cases)]
            kept = strictest(case.split for case in shared)
            leaking |= {case.id: finding.message for case in shared if case.split not in (None, kept)}
    return leaking


def _is_named(case: Case, finding: Finding, cases: Sequence[Case]) -> bool:
    if finding.rule == "leaked-patient":
        return any(case.group == other.group for other in cases if other.id == finding.case)
    return any(str(file) == finding.where or str(file) in finding.found for file in case.files)
