"""Rules about the dataset as a whole: what its folder holds and how its cases are divided."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from lesionlab.core.case import Case
from lesionlab.core.image_formats import IMAGE_ENDINGS
from lesionlab.core.layout import Layout
from lesionlab.workflows.check.finding import Finding

NAMED = 8


def judge_patients(cases: Sequence[Case]) -> Iterator[Finding]:
    """Find patients with cases in two parts of the given split."""
    for group in dict.fromkeys(case.group for case in cases):
        own = [case for case in cases if case.group == group and case.split is not None]
        parts = dict.fromkeys(case.split for case in own)
        if len(parts) > 1:
            yield Finding(
                rule="leaked-patient",
                severity="error",
                case=own[0].id,
                where=", ".join(str(next(iter(case.images.values()))) for case in own[:NAMED]),
                wanted="every patient in one part of the split",
                found=f"patient {group} in {' and '.join(str(part) for part in parts)}",
                next_step="move all cases of the patient into one part",
            )


def judge_lesions(cases: Sequence[Case], findings: Sequence[Finding]) -> Iterator[Finding]:
    """Find datasets in which no mask of several holds a lesion, as where the masks were lost in a conversion.

    Args:
        cases: Of the dataset.
        findings: About each of them.
    """
    masked = [case for case in cases if case.label is not None]
    empty = {finding.case for finding in findings if finding.rule == "label-empty"}
    if len(masked) > 1 and all(case.id in empty for case in masked):
        yield Finding(
            rule="label-empty",
            severity="warning",
            case="",
            where=str(masked[0].label),
            wanted="a lesion in at least one mask",
            found=f"no lesion in any of {len(masked)} masks",
            next_step="look at them, and at what their values mean: regions, lesion_above, colours in lesionlab.toml",
        )


def judge_modalities(cases: Sequence[Case], layout: Layout) -> Iterator[Finding]:
    """Note cases that lack a modality which the layout has."""
    for case in cases:
        absent = [name for name in layout.modalities if name not in case.images]
        if absent:
            yield Finding(
                rule="modality-missing",
                severity="note",
                case=case.id,
                where=str(next(iter(case.images.values()), layout.folder)),
                wanted=f"the modalities {', '.join(layout.modalities)}",
                found=f"no {' and no '.join(absent)}",
                next_step="nothing, if it was not acquired",
            )


def judge_left_over(cases: Sequence[Case], folder: Path) -> Iterator[Finding]:
    """Note image files in the folder that no case uses; hidden ones do not count."""
    used = {file.resolve() for case in cases for file in case.files}
    left_over = [path for path in _image_files(folder) if not used & {path.resolve(), path.parent.resolve()}]
    if left_over:
        names = [str(path.relative_to(folder)) for path in left_over]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        yield Finding(
            rule="left-over",
            severity="note",
            case="",
            where=str(folder),
            wanted="a case for every image file",
            found=f"{len(names)} that no case uses: {', '.join(names[:NAMED])}{more}",
            next_step="nothing, if they are not meant; a misspelt name would leave a case out",
        )


def _image_files(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.name.lower().endswith((*IMAGE_ENDINGS, ".dcm")))
    visible = (path for path in found if not any(part[0] == "." for part in path.relative_to(folder).parts))
    return sorted(path for path in visible if path.is_file())
