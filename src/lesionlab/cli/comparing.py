"""What compares: models by their reports, and visits of a patient."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, UseAppendAction, arg

from lesionlab.cli.ignored import refuse_ignored
from lesionlab.cli.made_files import name_files

if TYPE_CHECKING:
    from lesionlab.statistics.comparison import Comparison


def compare(
    reports_and_out: Annotated[Positional[tuple[str, ...]], arg(metavar="[NAME=]REPORT ... OUT")],
    /,
    *,
    metric: UseAppendAction[tuple[str, ...]] = (),
    margin: UseAppendAction[tuple[str, ...]] = (),
    by: UseAppendAction[tuple[str, ...]] = (),
    columns: Path | None = None,
    title: str = "Comparison",
) -> int:
    """Test two or more models against each other by their reports on the same cases; write tables and one page.

    Args:
        reports_and_out: Folders that evaluate wrote, and last the folder for the page and the tables. One NAME given
            several times is one model trained with several seeds.
        metric: Only this one, such as dsc or wmh2017.dsc; may be repeated.
        margin: Largest difference without a meaning, such as dsc=0.02, for a test of equivalence; may be repeated.
        by: Look at parts of the patients: site, load, size or a column of --columns; may be repeated.
        columns: CSV with a column case or patient and others.
        title: Heading of the page.
    """
    if not by:
        refuse_ignored(compare, locals(), "columns", because="only with --by")

    from lesionlab.workflows.compare import compare as run

    *reports, out = reports_and_out or ("",)
    compared = run(reports, Path(out), metrics=metric, margins=_margins(margin), by=by, columns=columns, title=title)
    for note in compared.notes:
        print(note)
    for comparison in compared.comparisons:
        _print_numbers(comparison)
    print(f"intervals: bootstrap over patients, {compared.resamples} resamples, seed {compared.seed}")
    return name_files(compared.files)


def follow_lesions(
    predictions: Path,
    data: str,
    out: Path,
    *,
    percent: float,
    mm3: float,
    split: Literal["training", "validation", "test"] | None,
    split_file: Path | None,
) -> int:
    """Say what became of the lesions between the visits of each patient; evaluate --longitudinal comes here."""
    from lesionlab.metrics.longitudinal import CHANGES, ChangeLimits
    from lesionlab.workflows.longitudinal import evaluate_longitudinal as run

    limits = ChangeLimits(percent=percent, mm3=mm3)
    done = run(predictions, data, out, limits=limits, split=split, split_file=split_file)
    for pair in done.pairs:
        counts = ", ".join(f"{change} {pair.count(change)}" for change in CHANGES)
        print(f"{pair.patient} {pair.earlier} to {pair.later}, {pair.region}, {pair.side}: {counts}")
    return name_files(done.files)


def _print_numbers(comparison: "Comparison") -> None:
    name = comparison.table.name
    for score in comparison.models:
        has_interval = not math.isnan(score.interval.low)
        ends = f" ({score.interval.low:.3f} to {score.interval.high:.3f})" if has_interval else ""
        print(f"{name:<32} {score.model:<24} {score.mean:.3f}{ends}")
    for pair in comparison.pairs:
        both = f"{pair.first} - {pair.second}"
        difference, p_value = pair.test.mean_difference, pair.adjusted_p_value
        print(f"{name:<32} {both:<24} {difference:+.3f}, p {p_value:.3g} ({comparison.test_words})")


def _margins(words: tuple[str, ...]) -> dict[str, float]:
    """Read METRIC=NUMBER; a wrong number is named by what uses it."""
    from lesionlab.core.errors import OptionError

    margins = {}
    for word in words:
        name, _, number = word.rpartition("=")
        try:
            margins[name] = float(number)
        except ValueError as error:
            raise OptionError(
                "METRIC=NUMBER", found=word, where="--margin", next_step="write, for instance, --margin dsc=0.02"
            ) from error
    return margins
