import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from lesionlab.cli.main import main
from lesionlab.core.case import DataKind
from lesionlab.core.errors import LayoutError, OptionError, StorageError
from lesionlab.core.interval import SEED
from lesionlab.core.lesion_table import LESIONS_FILE, LesionRow, write_lesions
from lesionlab.core.report import Report, Row, Rules
from lesionlab.workflows.compare import Compared, compare

RULES = (
    Rules(name="wmh2017", title="WMH 2017", citation="doi:10", is_legacy=False),
    Rules(name="paper", title="The paper", citation="a script", is_legacy=True),
)
KINDS = {
    "dsc": ("wmh2017", "1", True),
    "hd95_mm": ("wmh2017", "mm", False),
    "dsc_old": ("paper", "1", True),
    "reference_volume_ml": ("wmh2017", "ml", None),
}
EVIL = "<script>alert(1)</script>"
PATIENTS = [f"p{index:02}" for index in range(9)]


def write_report(
    folder: Path, *, shift: float, seed: int = 0, patients: list[str] = PATIENTS, kind: DataKind = "volume"
) -> str:
    """A report of nine patients, whose scores are `shift` above the first model's; the last has no HD95."""
    rng = np.random.default_rng(seed)
    rows = []
    for index, patient in enumerate(patients):
        dice = float(0.6 + 0.02 * index + shift + rng.normal(0, 0.01))
        hd95 = math.nan if index == len(PATIENTS) - 1 and shift else 10 - 5 * dice
        for metric, value in zip(KINDS, (dice, hd95, dice, 1.0 + index), strict=True):
            protocol, unit, is_higher_better = KINDS[metric]
            rows.append(
                Row(
                    case=f"{patient}-1" if kind == "volume" else patient,
                    group=patient,
                    site="Utrecht" if index % 2 else "Singapore",
                    protocol=protocol,
                    region="wmh",
                    metric=metric,
                    value=value,
                    unit=unit,
                    is_higher_better=is_higher_better,
                    reason="",
                )
            )
    Report(rows=tuple(rows), rules=RULES, provenance={}, kind=kind).write(folder)
    return str(folder)


def test_pictures_are_counted_as_pictures(tmp_path: Path) -> None:
    shifts = {"good": 0.0, "bad": -0.1}
    folders = [write_report(tmp_path / name, shift=shift, kind="picture") for name, shift in shifts.items()]
    compared = compare(folders, tmp_path / "out")
    assert "atient" not in compared.page.read_text()
    assert "Mean over pictures" in (tmp_path / "out" / "table.md").read_text()
    assert any("Only 9 pictures" in note for note in compared.notes)


def write_lesion_table(folder: Path, *, found: int) -> None:
    """Each patient has a small and a large lesion; the small ones of the first `found` patients are touched."""
    rows = [
        LesionRow(
            case=f"{patient}-1",
            group=patient,
            site="",
            region="wmh",
            side="reference",
            number=number,
            volume_mm3=volume_mm3,
            is_touched=number == 2 or index < found,
            dice=0.5,
        )
        for index, patient in enumerate(PATIENTS)
        for number, volume_mm3 in ((1, 8.0), (2, 800.0))
    ]
    write_lesions(folder / LESIONS_FILE, rows)


def write_three(folder: Path) -> list[str]:
    return [
        write_report(folder / "good" / "report", shift=0.0),
        write_report(folder / EVIL.replace("/", "|") / "report", shift=-0.05, seed=1),
        write_report(folder / "bad" / "report", shift=-0.1, seed=2),
    ]


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    return write_three(tmp_path)


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    folder = tmp_path_factory.mktemp("three")
    return compare(write_three(folder), folder / "out", margins={"dsc": 0.02})


def test_three_models_make_tables_and_tests(compared: Compared) -> None:
    names = sorted(path.name for path in compared.files)
    assert names == ["comparison.html", "comparison.json", "table.csv", "table.md", "table.tex"]
    assert [one.table.metric for one in compared.comparisons] == ["dsc", "hd95_mm", "dsc_old"]
    dsc = compared.comparisons[0]
    assert [score.model for score in dsc.models] == ["good", EVIL.replace("/", "|"), "bad"]
    assert dsc.pair("good", "bad").is_significant
    assert dsc.pair("good", "bad").equivalence_p_value > 0.9
    assert math.isnan(compared.comparisons[1].margin)
    assert compared.comparisons[1].table.penalised["bad"] == 1
    assert any("hd95_mm: bad 1" in note for note in compared.notes)
    assert any("Only 9 patients" in note for note in compared.notes)
    out = compared.page.parent
    said = json.loads((out / "comparison.json").read_text(), parse_constant=pytest.fail)
    assert said["bootstrap"] == {"resamples": 10_000, "seed": SEED, "level": 0.95}
    assert said["comparisons"][0]["pairs"][0]["first"] == "good"
    lines = list(csv.DictReader((out / "table.csv").read_text().splitlines()))
    assert len(lines) == 9
    assert float(lines[0]["mean"]) == dsc.models[0].mean


def test_the_page_is_escaped_and_marks_legacy_rules(compared: Compared) -> None:
    page = compared.page.read_text()
    assert page.count("<script>") == 1
    assert "&lt;script&gt;alert" in page
    assert page.count('class="badge">legacy') == 1
    assert page.count("data:image/svg+xml;base64,") == 6
    assert "://" not in page


def test_parts_by_site_load_size_and_column(tmp_path: Path, folders: list[str]) -> None:
    for folder, found in zip(folders, (9, 4, 0), strict=True):
        write_lesion_table(Path(folder), found=found)
    columns = tmp_path / "columns.csv"
    lines = ["Case;scanner", *(f"{p}-1;{'A' if p < 'p03' else 'B'}" for p in PATIENTS)]
    columns.write_text("\n".join(lines), encoding="utf-16")  # as a spreadsheet may save it
    compared = compare(folders, tmp_path / "out", metrics=["dsc"], columns=columns)
    found = {part.by: part for part in compared.strata}
    assert list(found) == ["site", "load", "lesion size", "scanner"]
    assert [(stratum.name, stratum.n) for stratum in found["scanner"].strata] == [("A", 3), ("B", 6)]
    assert [stratum.n for stratum in found["load"].strata] == [3, 3, 3]
    small, large = found["lesion size"].strata
    assert (small.name, small.n) == ("to 10 mm³", 9)
    assert [score.mean for score in small.models] == pytest.approx([1, 4 / 9, 0])
    assert [score.mean for score in large.models] == [1, 1, 1]
    assert found["lesion size"].gaps == pytest.approx([0, 5 / 9, 1])


def test_a_name_given_twice_is_one_model_with_two_trainings(tmp_path: Path, folders: list[str]) -> None:
    again = write_report(tmp_path / "again", shift=-0.11, seed=3)
    words = [f"ours={folders[0]}", f"plain={folders[2]}", f"plain={again}"]
    (comparison,) = compare(words, tmp_path / "out", metrics=["wmh2017.dsc"]).comparisons
    assert [(score.model, score.seeds) for score in comparison.models] == [("ours", 1), ("plain", 2)]
    assert comparison.models[1].seed_sd > 0


def test_cases_that_one_report_lacks_are_left_out_and_named(tmp_path: Path) -> None:
    words = [
        write_report(tmp_path / "a", shift=0.0),
        write_report(tmp_path / "b", shift=0.1, patients=PATIENTS[:-2]),
    ]
    compared = compare(words, tmp_path / "out", metrics=["dsc"])
    assert len(compared.comparisons[0].table.patients) == 7
    assert any("2 of a (p07-1, p08-1)" in note for note in compared.notes)


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"metrics": ["dice"]}, OptionError, "choose from wmh2017.wmh.dsc"),
        ({"margins": {"dsc": -1.0}}, OptionError, "above 0"),
        ({"by": ["scanner"]}, OptionError, "scanner"),
        ({"by": ["size"]}, OptionError, "size"),
        ({"columns": Path("/none.csv")}, LayoutError, "none.csv"),
    ],
)
def test_what_cannot_be_is_refused(
    tmp_path: Path, folders: list[str], changed: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        compare(folders, tmp_path / "out", **{"metrics": ["dsc"]} | changed)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_one_model_or_no_report_is_refused(tmp_path: Path, folders: list[str]) -> None:
    with pytest.raises(OptionError, match="1 model"):
        compare([f"a={folders[0]}", f"a={folders[1]}"], tmp_path / "out")
    with pytest.raises(OptionError, match="each once"):
        compare([f"a={folders[0]}", f"b={folders[0]}"], tmp_path / "out")
    for words in ([], folders[:1]):
        with pytest.raises(OptionError, match="two reports or more"):
            compare(words, tmp_path / "out")
    with pytest.raises(StorageError, match="a report"):
        compare([folders[0], str(tmp_path / "none")], tmp_path / "out")
    other = write_report(tmp_path / "other", shift=0.0, patients=["q1", "q2"])
    with pytest.raises(LayoutError, match="no case in common"):
        compare([folders[0], other], tmp_path / "out")


def test_the_verb_names_seed_numbers_and_files(
    tmp_path: Path, folders: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["compare", folders[0], folders[2], str(tmp_path / "out"), "--metric", "dsc", "--margin", "dsc=0.02"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert f"seed {SEED}" in said
    assert "good - bad" in said
    assert str(tmp_path / "out" / "comparison.html") in said


def test_the_verb_refuses_a_margin_that_is_no_number(
    tmp_path: Path, folders: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["compare", folders[0], folders[2], str(tmp_path / "out"), "--margin", "dsc"])
    assert ended.value.code == 1
    assert "METRIC=NUMBER" in capsys.readouterr().err


def test_two_patients_have_no_interval_and_two_models_no_correction(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, shift in (("a", 0.0), ("b", 0.1)):
        write_report(tmp_path / name, shift=shift, patients=["p1", "p2"])
    with pytest.raises(SystemExit):
        main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), str(tmp_path / "out")])
    shown = capsys.readouterr().out
    shown += (tmp_path / "out" / "table.md").read_text() + (tmp_path / "out" / "comparison.html").read_text()
    assert "nan" not in shown
    assert "– to –" not in shown
    assert "(Wilcoxon)" in shown
    assert "p, Holm" not in shown
    assert "after Holm" not in shown
