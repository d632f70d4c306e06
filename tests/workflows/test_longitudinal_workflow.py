import csv
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import UInt8

from lesionlab.core.errors import CasesError, LayoutError, OptionError
from lesionlab.core.grid import Grid
from lesionlab.engine.images import write_image
from lesionlab.metrics.longitudinal import ChangeLimits
from lesionlab.workflows.longitudinal import evaluate_longitudinal

GRID = Grid.of((12, 10, 6), np.diag([1.0, 1.0, 2.0, 1.0]))
Labels = UInt8[np.ndarray, "12 10 6"]


def lesion(*xs: int, size: int = 2) -> Labels:
    """Lesions of 2 x 2 x `size` voxels of 2 mm3 at these places along x."""
    mask = np.zeros(GRID.shape, dtype=np.uint8)
    for x in xs:
        mask[x : x + 2, 2:4, 1 : 1 + size] = 1
    return mask


def write_dataset(folder: Path, visits: dict[str, tuple[Labels, Labels]], *, grids: dict[str, Grid]) -> None:
    """A table of cases named patient-visit, each with a scan, a reference and a prediction."""
    lines = ["id,group,label,flair"]
    for name, (reference, predicted) in visits.items():
        grid = grids.get(name, GRID)
        write_image(folder / f"{name}.nii.gz", np.ones(GRID.shape, np.float32), grid=grid)
        write_image(folder / f"{name}_reference.nii.gz", reference, grid=grid)
        write_image(folder / "masks" / f"{name}_mask.nii.gz", predicted, grid=grid)
        lines.append(f"{name},{name.partition('-')[0]},{name}_reference.nii.gz,{name}.nii.gz")
    (folder / "cases.csv").write_text("\n".join(lines) + "\n")


VISITS = {
    "p-1": (lesion(1, 5), lesion(1)),
    "p-2": (lesion(1, 8), lesion(1, size=4)),
    "p-3": (lesion(1, 8), lesion(1, size=4)),
    "<q>-1": (lesion(1), lesion(1)),
    "<q>-2": (lesion(), lesion()),
    "alone-1": (lesion(1), lesion(1)),
}


def test_every_two_visits_of_a_patient_are_followed(tmp_path: Path) -> None:
    write_dataset(tmp_path, VISITS, grids={})
    done = evaluate_longitudinal(tmp_path / "masks", f"table:{tmp_path}", tmp_path / "out")
    assert [path.name for path in done.files] == ["longitudinal.html", "followed_lesions.csv", "visit_pairs.csv"]
    lines = {
        (line["earlier"], line["side"]): line
        for line in csv.DictReader((tmp_path / "out" / "visit_pairs.csv").read_text().splitlines())
    }
    assert {key[0] for key in lines} == {"p-1", "p-2", "<q>-1"}
    reference = lines["p-1", "reference"]
    found = [reference[f"{change}_lesions"] for change in ("new", "enlarging", "stable", "shrinking", "resolved")]
    assert found == ["1", "0", "1", "0", "1"]
    predicted = lines["p-1", "predicted"]
    assert predicted["enlarging_lesions"] == "1"
    assert float(predicted["enlarging_change_ml"]) == pytest.approx(0.016)
    assert float(predicted["later_ml"]) == pytest.approx(0.032)
    assert lines["<q>-1", "reference"]["resolved_lesions"] == "1"
    page = done.files[0].read_text()
    assert "&lt;q&gt;-1" in page
    assert "<q>" not in page


def test_nobody_with_two_visits_is_refused(tmp_path: Path) -> None:
    write_dataset(tmp_path, {"alone-1": VISITS["alone-1"]}, grids={})
    with pytest.raises(LayoutError, match="two visits"):
        evaluate_longitudinal(tmp_path / "masks", f"table:{tmp_path}", tmp_path / "out")


def test_a_visit_without_a_date_among_others_is_refused(tmp_path: Path) -> None:
    write_dataset(tmp_path, {"p-2": (lesion(), lesion()), "p-10": (lesion(), lesion())}, grids={})
    head, *lines = (tmp_path / "cases.csv").read_text().splitlines()
    dated = [f"{line},{'2009-06-15' if line.startswith('p-10') else ''}" for line in lines]
    (tmp_path / "cases.csv").write_text("\n".join([f"{head},visit", *dated]) + "\n")
    with pytest.raises(LayoutError, match="none of p-2"):
        evaluate_longitudinal(tmp_path / "masks", f"table:{tmp_path}", tmp_path / "out")


def test_visits_on_other_grids_are_refused_all_at_once(tmp_path: Path) -> None:
    moved = GRID.matrix
    moved[0, 3] = 4
    write_dataset(tmp_path, VISITS, grids={"p-2": Grid.of(GRID.shape, moved)})
    with pytest.raises(CasesError, match=r"2 of 3 that cannot: case p-2: .*register the visits.*; case p-3: "):
        evaluate_longitudinal(tmp_path / "masks", f"table:{tmp_path}", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_impossible_limits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="-1 %"):
        evaluate_longitudinal(tmp_path, "table:x", tmp_path, limits=ChangeLimits(percent=-1.0))


@pytest.mark.parametrize(
    ("ids", "visits"),
    [
        (("p-2", "p-10", "p-100"), ("", "", "")),
        (("p-c", "p-a", "p-b"), ("2019-12-30", "2020-01-02", "2020-11-01")),
        (("p-1", "p-3", "p-2"), ("2", "9", "10")),
    ],
)
def test_visits_follow_each_other_in_time(tmp_path: Path, ids: tuple[str, ...], visits: tuple[str, ...]) -> None:
    first, second, third = ids
    empty, one = lesion(), lesion(1)
    write_dataset(tmp_path, {third: (one, one), first: (empty, empty), second: (one, one)}, grids={})
    if any(visits):
        said = dict(zip(ids, visits, strict=True))
        head, *lines = (tmp_path / "cases.csv").read_text().splitlines()
        lines = [f"{line},{said[line.partition(',')[0]]}" for line in lines]
        (tmp_path / "cases.csv").write_text("\n".join([f"{head},visit", *lines]) + "\n")
    done = evaluate_longitudinal(tmp_path / "masks", f"table:{tmp_path}", tmp_path / "out")
    assert [(pair.earlier, pair.later) for pair in done.pairs if pair.side == "reference"] == [ids[:2], ids[1:]]
    assert [[lesion.change for lesion in pair.lesions] for pair in done.pairs] == [
        ["new"],
        ["new"],
        ["stable"],
        ["stable"],
    ]
