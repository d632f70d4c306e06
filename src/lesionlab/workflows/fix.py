"""Write a repaired copy of a dataset, and a record of every change."""

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lesionlab.core.case import Case
from lesionlab.core.errors import LayoutError, OptionError
from lesionlab.core.folder_lock import has_files, lock_folder
from lesionlab.core.layout import Layout
from lesionlab.core.split_rule import strictest
from lesionlab.engine.case_loop import work_through_cases
from lesionlab.layouts.opening import open_layout
from lesionlab.workflows.check import Finding, check
from lesionlab.workflows.repair_record import RECORD_FILE, RecordedChange, RepairRecord
from lesionlab.workflows.repairing import HEADER_RULES, repair_case

HOPELESS = frozenset({"constant"})
"""Errors that no rewriting of files can repair, beside files that cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """What a repair left behind.

    Attributes:
        record: Names every change and every case that was left out.
        changes: Case, file and what was done, in words.
        left_out: Case id -> why the copy does not hold it.
        failures: Those of them whose repair failed.
        findings: What a check of the copy says.
    """

    record: Path
    changes: tuple[tuple[str, str, str], ...]
    left_out: dict[str, str]
    failures: dict[str, str]
    findings: tuple[Finding, ...]


def fix(data: str, out: Path) -> Fixed:
    """Write a copy of a dataset in which what can be repaired is, and check the copy.

    Images and masks are brought to the grid of the first image (headers aligned where only they are wrong, resampled
    otherwise, masks by nearest neighbour), masks are rounded or binarised, and doubtful headers are written afresh; a
    file of several volumes is changed as a whole. A mask that is a few pixels larger or smaller than its picture is
    brought to its size. What was written is read back. Cases that cannot be used are left out; so are all but the test
    cases of a patient who is in several parts, and cases whose repair fails. Everything else is copied as it is; hidden
    files are not. Nothing in the dataset is changed. Finished cases are skipped when nothing of them has changed.

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
    findings = check(data)
    left_out = _hopeless(findings) | _leaking(findings, cases)
    record = RepairRecord(out / RECORD_FILE, data=data, case_ids=[case.id for case in cases])
    record.write()
    for case_id in left_out:
        record.forget(case_id)
    repair = _Repair(layout=layout, out=out, doubtful=_doubtful_files(findings), shared=_shared_files(cases))
    failures = work_through_cases(
        [case for case in cases if case.id not in left_out],
        what="repairing",
        record=record,
        key=repair.key,
        work=repair,
        files_of=repair.files_of,
    )
    left_out |= failures
    changes = record.changes
    written = {layout.folder / change.file for change in changes}
    _copy_others(layout.folder, cases, out=out, left_out=left_out, written=written)
    findings = check(f"{name}:{out}") if len(left_out) < len(cases) else ()
    record.write(left_out=left_out, findings=findings)
    if len(left_out) == len(cases):
        raise LayoutError(
            "at least one case that can be used or repaired",
            found=f"none of {len(cases)}; the first, {next(iter(left_out))}: {next(iter(left_out.values()))}",
            where=out / RECORD_FILE,
            next_step="repair them by hand",
        )
    named = tuple((change.case, change.file, change.what) for change in changes)
    return Fixed(record=out / RECORD_FILE, changes=named, left_out=left_out, failures=failures, findings=findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Repair:
    """Repairs one case.

    Attributes:
        layout: Of the dataset.
        out: Folder of the copy.
        doubtful: Case id -> files whose headers are written afresh.
        shared: Files that several cases use.
    """

    layout: Layout
    out: Path
    doubtful: Mapping[str, frozenset[Path]]
    shared: frozenset[Path]

    def __call__(self, case: Case) -> tuple[RecordedChange, ...]:
        """Write the changed files of a case, only when all of them can be repaired."""
        headers = self.doubtful.get(case.id, frozenset())
        changes = list(repair_case(case, self.layout.labels, headers=headers))
        files = [self._relative(change.file) for change in changes]
        for change, file in zip(changes, files, strict=True):
            change.write(self.out / file)
        return tuple(
            RecordedChange(case=case.id, file=file.as_posix(), what=change.what)
            for change, file in zip(changes, files, strict=True)
        )

    def key(self, case: Case) -> str:
        """Return a digest of all that the repair of a case depends on, the names of its files among them."""
        places = {file: file.relative_to(self.layout.folder) for file in self._own_folder(case.files)}
        doubtful = sorted(str(places.get(file, file)) for file in self.doubtful.get(case.id, ()))
        settings = [self.layout.labels, [places.get(file, file) for file in case.files], doubtful]
        return case.content_key(tuple(case.images), settings=settings)

    def files_of(self, case: Case) -> list[Path]:
        """Return every file of the copy that the repair of this case, and of no other, may write."""
        files = self._own_folder(file for file in case.files if file not in self.shared and not file.is_dir())
        return [self.out / file.relative_to(self.layout.folder) for file in files]

    def _own_folder(self, files: Iterable[Path]) -> Iterator[Path]:
        return (file for file in files if file.is_relative_to(self.layout.folder))

    def _relative(self, file: Path) -> Path:
        if not file.is_relative_to(self.layout.folder):
            raise LayoutError(
                "a file in the folder of the dataset, which alone is copied",
                found="one elsewhere that needs a repair",
                where=file,
                next_step="put it into the folder, or repair it by hand",
            )
        return file.relative_to(self.layout.folder)


def _doubtful_files(findings: Sequence[Finding]) -> dict[str, frozenset[Path]]:
    """Return the files whose headers are doubtful, by case."""
    doubtful: dict[str, set[Path]] = {}
    for finding in findings:
        if finding.rule in HEADER_RULES:
            doubtful.setdefault(finding.case, set()).add(Path(finding.where))
    return {case_id: frozenset(files) for case_id, files in doubtful.items()}


def _shared_files(cases: Sequence[Case]) -> frozenset[Path]:
    uses = Counter(file for case in cases for file in case.files)
    return frozenset(file for file, count in uses.items() if count > 1)


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


def _copy_others(
    folder: Path, cases: Sequence[Case], *, out: Path, left_out: dict[str, str], written: set[Path]
) -> None:
    """Copy what was not written, but for the files of cases that are left out and of none that stays.

    Of those, what an earlier call or half a repair wrote is removed, and folders that are empty then.
    """
    dropped = {file for case in cases if case.id in left_out for file in case.files}
    kept = {file for case in cases if case.id not in left_out for file in case.files}
    for path in dropped - kept:
        if path.is_file() and path.is_relative_to(folder):
            place = out / path.relative_to(folder)
            place.unlink(missing_ok=True)
            _remove_empty_folders(place.parent, within=out)
    for path in _visible_files(folder):
        if path not in written and path not in dropped - kept:
            place = out / path.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)


def _remove_empty_folders(folder: Path, *, within: Path) -> None:
    while folder != within and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


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
