import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import Integer
from PIL import Image

from lesionlab.core.case import Case
from lesionlab.core.errors import CasesError, GridError, LabelError, LayoutError, NameUnknownError, OptionError
from lesionlab.core.grid import Grid
from lesionlab.core.labels import LESION, Labels
from lesionlab.core.lesion_table import read_lesions
from lesionlab.core.report import Report
from lesionlab.engine.images import write_image
from lesionlab.workflows.evaluate import evaluate_cases, score

WMH = Labels(regions={"wmh": frozenset({1})}, ignored=frozenset({2}))
LEFT_HANDED = Grid.of((20, 24, 8), np.array([[-1.0, 0, 0, 9], [0, 0, 3, -4], [0, -1, 0, 12], [0, 0, 0, 1]]))
Mask = Integer[np.ndarray, "20 24 8"]


def lesion(*corner: int, value: int = 1) -> Mask:
    mask = np.zeros(LEFT_HANDED.shape, dtype=np.uint8)
    x, y, z = corner
    mask[x : x + 4, y : y + 4, z : z + 2] = value
    return mask


def make_case(folder: Path, name: str, *, reference: Mask, predicted: Mask, grid: Grid = LEFT_HANDED) -> Case:
    scan = np.random.default_rng(0).random(LEFT_HANDED.shape, dtype=np.float32)
    write_image(folder / name / "flair.nii.gz", scan, grid=LEFT_HANDED)
    write_image(folder / name / "wmh.nii.gz", reference, grid=LEFT_HANDED)
    write_image(folder / "predictions" / f"{name}_mask.nii.gz", predicted, grid=grid)
    images = {"flair": folder / name / "flair.nii.gz"}
    return Case(id=name, images=images, label=folder / name / "wmh.nii.gz", group=name, site="Utrecht")


@pytest.fixture
def cases(tmp_path: Path) -> list[Case]:
    found = lesion(4, 4, 2)
    return [
        make_case(tmp_path, "a", reference=found, predicted=found),
        make_case(tmp_path, "b", reference=found, predicted=lesion(5, 4, 2)),
        make_case(tmp_path, "c", reference=found, predicted=lesion(12, 12, 4)),
        make_case(tmp_path, "d", reference=lesion(12, 12, 4, value=2), predicted=lesion(0, 0, 0, value=0)),
    ]


@pytest.mark.slow
def test_two_workers_give_the_same_report_and_the_same_errors(tmp_path: Path, cases: list[Case]) -> None:
    for workers in (1, 2):
        evaluate_cases(
            tmp_path / "predictions", cases, WMH, protocols=["lesionlab"], out=tmp_path / str(workers), workers=workers
        )
    for name in ("cases.csv", "lesions.csv", "report.html", "scores.csv"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
    errors = []
    for workers in (1, 2):
        with pytest.raises(CasesError, match=r"1 of 4 that cannot: case d: .*found also \[2\]") as raised:
            evaluate_cases(
                tmp_path / "predictions", cases, LESION, protocols=["lesionlab"], out=tmp_path / "out", workers=workers
            )
        errors.append(str(raised.value))
    assert errors[0] == errors[1]


def test_no_worker_is_refused(tmp_path: Path, cases: list[Case]) -> None:
    with pytest.raises(OptionError, match="worker"):
        evaluate_cases(tmp_path / "predictions", cases, WMH, protocols=["wmh2017"], out=tmp_path / "out", workers=0)


def test_writes_tables_summary_and_page(tmp_path: Path, cases: list[Case]) -> None:
    done = evaluate_cases(
        tmp_path / "predictions",
        cases,
        WMH,
        protocols=["wmh2017", "synapse_net_paper", "lesionlab"],
        out=tmp_path / "out",
        notice="Synthetic patients",
    )
    assert sorted(path.name for path in done.files) == [
        "cases.csv",
        "lesions.csv",
        "report.html",
        "scores.csv",
        "summary.json",
    ]
    assert all(path.is_file() for path in done.files)
    table = {line["case"]: line for line in csv.DictReader((tmp_path / "out" / "cases.csv").read_text().splitlines())}
    assert [table[case]["wmh2017.dsc"] for case in "abcd"] == ["1.0", "0.75", "0.0", ""]
    assert table["d"]["synapse_net_paper.dsc"] == "0.0"  # there, other pathology counts as lesion
    assert float(table["b"]["lesionlab.reference_volume_ml"]) == pytest.approx(32 * 3 / 1000)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["summary"][0]["n"], summary["summary"][0]["n_defined"]) == (4, 3)
    assert repr(Report.read(tmp_path / "out")) == repr(done.report)  # NaN is not equal to itself


def test_page_shows_best_median_and_worst_case(tmp_path: Path, cases: list[Case]) -> None:
    done = evaluate_cases(tmp_path / "predictions", cases, WMH, protocols=["wmh2017"], out=tmp_path / "out")
    page = done.page.read_text()
    for words in ("Best case: a", "Median case: b", "Worst case: c", "on flair"):
        assert words in page
    assert str(tmp_path) not in page


def test_one_case_is_drawn_once(tmp_path: Path, cases: list[Case]) -> None:
    done = evaluate_cases(tmp_path / "predictions", cases[:1], WMH, protocols=["wmh2017"], out=tmp_path / "out")
    assert done.page.read_text().count("data:image/png") == 1


def test_every_lesion_is_listed(tmp_path: Path, cases: list[Case]) -> None:
    evaluate_cases(tmp_path / "predictions", cases, WMH, protocols=["wmh2017"], out=tmp_path / "out")
    lesions = read_lesions(tmp_path / "out" / "lesions.csv")
    assert [(one.case, one.side, one.is_touched) for one in lesions] == [
        ("a", "predicted", True),
        ("a", "reference", True),
        ("b", "predicted", True),
        ("b", "reference", True),
        ("c", "predicted", False),
        ("c", "reference", False),
    ]
    assert lesions[0].volume_mm3 == pytest.approx(32 * 3)
    assert [one.dice for one in lesions[::2]] == [1, 0.75, 0]


def test_lesions_of_pictures_are_listed_in_pixels(tmp_path: Path) -> None:
    (tmp_path / "predictions").mkdir()
    mask = np.zeros((20, 24), np.uint8)
    mask[4:8, 3:6] = 255
    for path in ("a.png", "a_label.png", "predictions/a_mask.png"):
        Image.fromarray(mask).save(tmp_path / path)
    case = Case(id="a", images={"grey": tmp_path / "a.png"}, label=tmp_path / "a_label.png", group="a")
    evaluate_cases(tmp_path / "predictions", [case], LESION, protocols=["lesionlab"], out=tmp_path / "out")
    with (tmp_path / "out" / "lesions.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["area_px"]) for row in rows] == [12.0, 12.0]
    assert not {"volume_mm3", "size_class"} & set(rows[0])


def test_a_failure_is_drawn_first_and_never_as_best(tmp_path: Path, cases: list[Case]) -> None:
    missed = make_case(tmp_path, "e", reference=lesion(4, 4, 2), predicted=lesion(0, 0, 0, value=0))
    done = evaluate_cases(tmp_path / "predictions", [*cases, missed], WMH, protocols=["wmh2017"], out=tmp_path / "out")
    page = done.page.read_text()
    assert (
        0 < page.index("Failure: the prediction is empty: e") < page.index("Worst case: c") < page.index("Best case: a")
    )
    assert "Failure: both" not in page


def test_legacy_rules_are_never_shown_alone(tmp_path: Path, cases: list[Case]) -> None:
    done = evaluate_cases(tmp_path / "predictions", cases, WMH, protocols=["synapse_net_paper"], out=tmp_path / "out")
    assert [rules.name for rules in done.report.rules] == ["synapse_net_paper", "lesionlab"]
    assert "Legacy beside official" in done.page.read_text()


def test_missing_predictions_are_named_and_nothing_is_written(tmp_path: Path, cases: list[Case]) -> None:
    for name in ("b", "d"):
        (tmp_path / "predictions" / f"{name}_mask.nii.gz").unlink()
    with pytest.raises(LayoutError, match="none for 2 of 4: b, d"):
        evaluate_cases(tmp_path / "predictions", cases, WMH, protocols=["wmh2017"], out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_to_score_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match="no case"):
        evaluate_cases(tmp_path, [], WMH, protocols=["wmh2017"], out=tmp_path / "out")


def test_another_grid_is_refused(tmp_path: Path) -> None:
    moved = LEFT_HANDED.matrix
    moved[0, 3] += 1
    case = make_case(
        tmp_path,
        "a",
        reference=lesion(4, 4, 2),
        predicted=lesion(4, 4, 2),
        grid=Grid.of(LEFT_HANDED.shape, moved),
    )
    with pytest.raises(CasesError, match=r"case a: .*on its own grid"):
        evaluate_cases(tmp_path / "predictions", [case], WMH, protocols=["wmh2017"], out=tmp_path / "out")


def test_cases_with_undeclared_values_are_named_together(tmp_path: Path) -> None:
    cases = [
        make_case(tmp_path, name, reference=lesion(4, 4, 2), predicted=lesion(4, 4, 2, value=value))
        for name, value in (("a", 255), ("b", 1), ("c", 254))
    ]
    with pytest.raises(CasesError, match=r"2 of 3 that cannot: case a: .*255.*; case c: .*254"):
        evaluate_cases(tmp_path / "predictions", cases, LESION, protocols=["wmh2017"], out=tmp_path / "out")


def test_an_infinite_score_is_counted_and_the_report_is_written(tmp_path: Path) -> None:
    regions = {"WT": frozenset({1, 2, 3}), "TC": frozenset({1, 3}), "ET": frozenset({3})}
    made = [
        make_case(tmp_path, name, reference=lesion(4, 4, 2, value=3), predicted=lesion(*corner, value=3))
        for name, corner in (("missed", (12, 12, 4)), ("found", (4, 4, 2)), ("nearly", (5, 4, 2)))
    ]
    done = evaluate_cases(
        tmp_path / "predictions", made, Labels(regions=regions), protocols=["brats2025"], out=tmp_path / "out"
    )
    (summary,) = (one for one in done.report.summary if (one.region, one.metric) == ("ET", "matched_hd95_mm"))
    assert (summary.n, summary.n_defined, summary.n_infinite) == (3, 2, 1)
    assert np.isfinite(summary.mean)
    assert "Infinity" not in (tmp_path / "out" / "summary.json").read_text()
    assert "(1 infinite)" in done.page.read_text()


def test_scores_two_arrays() -> None:
    scores = score(lesion(5, 4, 2), lesion(4, 4, 2), spacing_mm=(1.0, 1.0, 3.0), protocol="wmh2017")
    assert scores["dsc"] == 0.75
    assert list(scores) == ["dsc", "hd95_mm", "avd_percent", "lesion_recall", "lesion_f1"]
    assert scores.reasons == {}


def test_scores_say_why_a_value_is_undefined() -> None:
    empty = np.zeros((4, 4, 4), dtype=bool)
    scores = score(empty, empty, spacing_mm=(1.0, 1.0, 1.0), protocol="wmh2017")
    assert np.isnan(scores["dsc"])
    assert scores.reasons["dsc"] == "both masks are empty"


def test_a_2d_image_is_a_volume_one_voxel_thick() -> None:
    flat, thick = lesion(5, 4, 2)[:, :, 2], lesion(5, 4, 2)[:, :, 2:3]
    reference = np.roll(flat, 1, axis=0)
    assert score(flat, reference, spacing_mm=(2.0, 1.0)) == score(
        thick, reference[..., None], spacing_mm=(2.0, 1.0, 1.0)
    )


@pytest.mark.parametrize("spacing_mm", [(1.0,), (1.0, 0.0, 1.0), (1.0, float("nan"), 1.0)])
def test_impossible_spacing_is_refused(spacing_mm: tuple[float, ...]) -> None:
    with pytest.raises(OptionError):
        score(lesion(5, 4, 2), lesion(4, 4, 2), spacing_mm=spacing_mm)


def test_lists_and_tensors_are_masks_too():
    predicted, reference = lesion(5, 4, 2), lesion(4, 4, 2)
    wanted = score(predicted, reference, spacing_mm=(1.0, 1.0, 3.0))
    assert score(predicted.tolist(), torch.tensor(reference), spacing_mm=(1.0, 1.0, 3.0)) == wanted
    for no_array in ([[1], [1, 0]], torch.zeros(2, 2, requires_grad=True)):
        with pytest.raises(LabelError, match="an array; found"):
            score(no_array, reference, spacing_mm=(1.0, 1.0, 3.0))


def test_other_shapes_and_names_are_refused() -> None:
    with pytest.raises(GridError):
        score(lesion(5, 4, 2), lesion(4, 4, 2)[:-1], spacing_mm=(1.0, 1.0, 1.0))
    with pytest.raises(NameUnknownError, match="wmh2017"):
        score(lesion(5, 4, 2), lesion(4, 4, 2), spacing_mm=(1.0, 1.0, 1.0), protocol="wmh2018")
