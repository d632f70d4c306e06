"""Splits keep patients together, sites and loads alike, and test cases out of reach."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tiny_training import AFFINE, SHAPE, save

from lesionlab.cli.main import main
from lesionlab.core.case import Case, Split
from lesionlab.core.errors import OptionError, SplitError
from lesionlab.core.layout import layout
from lesionlab.core.split import SplitTable, read_split
from lesionlab.layouts.wmh2017 import LABELS
from lesionlab.workflows.splits import Divided, split

VOXEL_ML = float(abs(np.linalg.det(AFFINE[:3, :3]))) / 1000


class Cohort:
    """Thirty patients of three sites, every third with two visits, with 0 to 29 lesion voxels."""

    modalities = ("flair",)
    labels = LABELS
    citation = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def cases(self) -> Iterator[Case]:
        for number in range(30):
            for visit in range(1 + (number % 3 == 0)):
                yield self._case(number, visit)

    def _case(self, number: int, visit: int) -> Case:
        mask = self.folder / f"{number}.nii.gz"
        if not mask.exists():
            voxels = np.zeros(SHAPE, np.uint8)
            voxels.flat[:number] = 1
            save(mask, voxels)
        return Case(
            id=f"case_{number:02d}_{visit}", images={"flair": mask}, label=mask, group=f"p{number}",
            site="ABC"[number % 3], split=self.part(number),
        )  # fmt: skip

    def part(self, _: int) -> Split | None:
        return None


class Official(Cohort):
    def part(self, number: int) -> Split | None:
        return "test" if number >= 25 else "validation" if number >= 20 else "training"


class HalfOfficial(Official):
    def part(self, number: int) -> Split | None:
        return "test" if number >= 25 else None


@pytest.fixture(autouse=True)
def _layouts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, maker in (("cohort", Cohort), ("official", Official), ("half", HalfOfficial)):
        monkeypatch.setitem(layout._makers, name, maker)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cohort")


def made(folder: Path, out: Path, *, data: str = "cohort", **options: object) -> SplitTable:
    divided: Divided = split(f"{data}:{folder}", out / "split.csv", **options)
    assert read_split(divided.file) == divided.table
    return divided.table


def patients(table: SplitTable, **wanted: object) -> set[str]:
    return {row.group for row in table.rows if all(getattr(row, name) == value for name, value in wanted.items())}


def test_folds_of_alike_patients(folder: Path, tmp_path: Path):
    table = made(folder, tmp_path)
    assert table.folds == (0, 1, 2, 3, 4)
    held = [patients(table, fold=fold) for fold in table.folds]
    assert [len(group) for group in held] == [6] * 5
    assert len(set().union(*held)) == 30
    for group in held:
        sites = Counter(int(name[1:]) % 3 for name in group)
        assert set(sites.values()) <= {1, 2, 3}
        assert len(sites) == 3
        loads = [int(name[1:]) for name in group]
        assert abs(np.mean(loads) - 14.5) < 3.5


def test_folds_are_alike_more_than_by_chance(folder: Path, tmp_path: Path):
    """The mean loads of folds differ about half as much as those of random folds."""
    spread, chance = [], []
    for seed in range(6):
        table = made(folder, tmp_path / str(seed), seed=seed)
        folds = [[int(name[1:]) for name in patients(table, fold=fold)] for fold in table.folds]
        spread.append(np.std([np.mean(loads) for loads in folds]))
        shuffled = np.random.default_rng(seed).permutation(30).reshape(5, 6)
        chance.append(np.std(shuffled.mean(axis=1)))
    assert np.mean(spread) < 0.7 * np.mean(chance)


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_a_share_held_out(folder: Path, tmp_path: Path, share: float):
    table = made(folder, tmp_path, kind="holdout", share=share)
    test = patients(table, part="test")
    assert len(test) == round(30 * share)
    assert not test & patients(table, part="training")
    assert {int(name[1:]) % 3 for name in test} == {0, 1, 2}


def test_the_seed_decides(folder: Path, tmp_path: Path):
    tables = [made(folder, tmp_path / str(number), seed=seed) for number, seed in enumerate((0, 0, 1))]
    assert tables[0] == tables[1]
    assert tables[0] != tables[2]


def test_one_site_out(folder: Path, tmp_path: Path):
    table = made(folder, tmp_path, kind="site")
    for fold, site in enumerate("ABC"):
        assert {row.site for row in table.rows if row.fold == fold} == {site}


def test_the_official_parts(folder: Path, tmp_path: Path):
    table = made(folder, tmp_path, data="official", kind="official")
    assert Counter(row.part for row in table.rows) == {"training": 27, "validation": 7, "test": 6}
    with pytest.raises(SplitError, match="given by the dataset's authors"):
        made(folder, tmp_path / "half", data="half", kind="official")


@pytest.mark.parametrize("kind", ["holdout", "kfold", "site"])
def test_official_test_cases_stay_test_cases(folder: Path, tmp_path: Path, kind: str):
    official = {f"p{number}" for number in range(25, 30)}
    table = made(folder, tmp_path, data="half", kind=kind)
    assert official <= patients(table, part="test")
    assert not official & (patients(table, part="training") | {row.group for row in table.rows if row.fold is not None})


class Single(Cohort):
    """One visit each, so that nnU-Net's folds divide no patient."""

    def cases(self) -> Iterator[Case]:
        return (self._case(number, 0) for number in range(23))


def test_nnunet_s_folds(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    sklearn = pytest.importorskip("sklearn.model_selection")
    monkeypatch.setitem(layout._makers, "single", Single)
    table = made(folder, tmp_path, data="single", kind="nnunet")
    names = np.array(sorted(row.id for row in table.rows))
    folds = sklearn.KFold(n_splits=5, shuffle=True, random_state=12345).split(names)
    for fold, (_, validation) in enumerate(folds):
        assert {row.id for row in table.rows if row.fold == fold} == set(names[validation].tolist())


def test_nnunet_s_folds_do_not_divide_patients(folder: Path, tmp_path: Path):
    with pytest.raises(SplitError, match="every patient in one fold"):
        made(folder, tmp_path, kind="nnunet")
    assert not (tmp_path / "split.csv").exists()


def test_a_sealed_share(folder: Path, tmp_path: Path):
    table = made(folder, tmp_path, sealed_share=0.2)
    sealed = patients(table, part="sealed")
    assert len(sealed) == 6
    assert {row.fold for row in table.rows if row.part == "sealed"} == {None}
    assert len(table.sealed) == sum(row.part == "sealed" for row in table.rows)
    assert not sealed & patients(table, part="training")


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"folds": 1}, OptionError),
        ({"share": 0.0}, OptionError),
        ({"sealed_share": 1.0}, OptionError),
        ({"folds": 31}, SplitError),
        ({"kind": "holdout", "share": 0.01}, SplitError),
    ],
)
def test_what_cannot_be(folder: Path, tmp_path: Path, options: dict[str, object], kind: type[Exception]):
    with pytest.raises(kind):
        made(folder, tmp_path, **options)


def test_an_edited_file_is_kept(folder: Path, tmp_path: Path):
    made(folder, tmp_path)
    made(folder, tmp_path)
    path = tmp_path / "split.csv"
    path.write_text(path.read_text().replace(",0,training", ",,training"), encoding="utf-8")
    edited = path.read_text()
    with pytest.raises(OptionError, match="edited by hand"):
        made(folder, tmp_path)
    assert path.read_text() == edited


def test_the_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "split.csv"
    with pytest.raises(SystemExit) as ended:
        main(["split", f"cohort:{folder}", str(out), "--folds", "3", "--sealed-share", "0.1"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "sealed" in said
    assert "ml" in said
    assert said.rstrip().endswith(str(out))
    assert read_split(out).folds == (0, 1, 2)


def test_lesion_loads_are_in_millilitres(folder: Path, tmp_path: Path):
    divided = split(f"cohort:{folder}", tmp_path / "split.csv", kind="site")
    assert divided.loads_ml["case_10_0"] == pytest.approx(10 * VOXEL_ML)
    assert [line.patients for line in divided.summary()] == [10, 10, 10]


@pytest.mark.slow
def test_no_patient_of_the_lgg_set_is_shared(real_data: Path, tmp_path: Path):
    """655 slices of 88 patients; one line that is moved to another part is refused."""
    divided = split(f"image_mask:{real_data / '2d' / 'lgg_mri'}", tmp_path / "split.csv", kind="holdout")
    test, training = patients(divided.table, part="test"), patients(divided.table, part="training")
    assert (len(test), len(training)) == (18, 70)
    assert not test & training
    lines = divided.file.read_text().splitlines()
    moved = next(number for number, line in enumerate(lines) if line.endswith(",test"))
    lines[moved] = lines[moved].replace(",test", ",training")
    divided.file.write_text("\n".join(lines))
    with pytest.raises(SplitError, match="every patient in one part; found patient TCGA_"):
        read_split(divided.file)
