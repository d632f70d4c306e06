"""What is used of cases is said, matched by the usual names, and required where asked for."""

import json
import logging
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from dicom_files import write_series
from hypothesis import given
from hypothesis import strategies as st
from tiny_training import phantom, save

from lesionlab.cli.main import main
from lesionlab.core.case import Case
from lesionlab.core.errors import LayoutError, OptionError
from lesionlab.core.labels import LESION
from lesionlab.engine.checkpoint import open_checkpoint
from lesionlab.layouts.modality_names import SPELLINGS
from lesionlab.workflows.check import check
from lesionlab.workflows.made_by import read_maker
from lesionlab.workflows.modality_use import ModalityUse, match_modalities, report_use, required_modalities
from lesionlab.workflows.predict import predict
from lesionlab.workflows.train import Trained, train


def case(case_id: str, *modalities: str, notes: tuple[str, ...] = ()) -> Case:
    images = {name: Path(f"{case_id}_{name}.nii.gz") for name in modalities}
    return Case(id=case_id, images=images, label=None, group=case_id, notes=notes)


def write_table(folder: Path, columns: str, *rows: tuple[str, ...]) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cases.csv").write_text("\n".join([columns, *map(",".join, rows)]) + "\n")
    return f"table:{folder}"


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("scans")
    flair, t1, mask = phantom(30)
    arrays = {"flair": flair, "t1": t1, "mask": mask}
    return {name: str(save(folder / f"{name}.nii.gz", array)) for name, array in arrays.items()}


@pytest.fixture(scope="module")
def forgiving(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose plan says that it was trained with modality dropout."""
    folder = Path(shutil.copytree(trained.folder / "best", tmp_path_factory.mktemp("forgiving") / "best"))
    plan = json.loads((folder / "plan.json").read_text())
    plan["recipe"]["training"]["modality_dropout"] = 0.3
    (folder / "plan.json").write_text(json.dumps(plan))
    return folder


def test_one_line_says_what_is_used_of_a_case():
    use = ModalityUse.of(case("a", "flair", "t2", notes=("series 7 is not used",)), ("flair", "t1"))
    assert str(use) == "used: flair = a_flair.nii.gz; not found: t1; ignored: t2 = a_t2.nii.gz, series 7 is not used"


def test_a_channel_of_a_file_is_named():
    picture = Case(id="a", images={"red": Path("a.png")}, label=None, group="a", parts={"red": "0"})
    assert str(ModalityUse.of(picture, ("red",))) == "used: red = a.png [0]"


def test_cases_that_are_alike_share_a_line(caplog: pytest.LogCaptureFixture):
    cases = [case("a", "flair", "t1"), case("b", "flair", "t1"), case("c", "flair", notes=("x.nii is left alone",))]
    with caplog.at_level(logging.INFO):
        report_use(cases, ("flair", "t1"))
    assert caplog.messages == [
        "2 cases: a, b: used: flair, t1",
        "case c: used: flair = c_flair.nii.gz; not found: t1; ignored: x.nii is left alone",
    ]


def test_one_line_is_enough_for_a_cohort(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO):
        report_use([case(str(number), "flair") for number in range(30)], ("flair", "t1"))
    assert caplog.messages == [
        "all 30 cases: used: flair; not found: t1",
        "no case has t1: check the names of files, series and columns",
    ]
    assert caplog.records[-1].levelname == "WARNING"


@given(st.sampled_from(sorted(SPELLINGS)), st.data())
def test_every_usual_spelling_is_the_modality_itself(modality: str, data: st.DataObject):
    """Upper case, and separators in between, make no difference; a user may require it in any spelling."""
    word = data.draw(st.sampled_from(SPELLINGS[modality]))
    letters = [letter.upper() if data.draw(st.booleans()) else letter for letter in word]
    spelling = data.draw(st.sampled_from(["", "-", "_"])).join(letters)
    assert required_modalities([spelling], ("other", modality)) == (modality,)


def test_an_unknown_modality_cannot_be_required():
    with pytest.raises(OptionError, match=r"'flari'.*did you mean 'flair'"):
        required_modalities(["flari"], ("flair", "t1"))


class Named:
    """A layout of one case with modalities of these names."""

    def __init__(self, *modalities: str) -> None:
        self.folder, self.modalities, self.labels, self.citation = Path("named"), modalities, LESION, ""

    def cases(self) -> Iterator[Case]:
        yield replace(case("a", *self.modalities), parts={self.modalities[0]: "0"})


@pytest.mark.parametrize(
    ("names", "modalities", "matches"),
    [
        (("T1w", "FLAIR"), ("flair", "t1"), {"t1": "T1w", "flair": "FLAIR"}),
        (("t2f", "T1n", "pd"), ("flair", "t1"), {"flair": "t2f", "t1": "T1n", "pd": "pd"}),
        (("flair", "t1"), ("FLAIR", "T1w"), {"FLAIR": "flair", "T1w": "t1"}),
        (("t1", "T1w"), ("t1",), {"t1": "t1", "T1w": "T1w"}),
        (("t1", "mprage"), ("t1", "T1w"), {"t1": "t1", "T1w": "mprage"}),
    ],
)
def test_modalities_are_matched_by_their_usual_names(
    names: tuple[str, ...], modalities: tuple[str, ...], matches: dict[str, str], caplog: pytest.LogCaptureFixture
):
    """The same name goes before another spelling; every other match is shown."""
    with caplog.at_level(logging.INFO):
        layout = match_modalities(Named(*names), modalities)
    (matched,) = layout.cases()
    assert {name: path.name for name, path in matched.images.items()} == {
        name: f"a_{own}.nii.gz" for name, own in matches.items()
    }
    assert set(layout.modalities) == set(matches)
    assert set(matched.parts) == {next(name for name, own in matches.items() if own == names[0])}
    for name, own in matches.items():
        assert (f"{name} is {own} of the dataset" in caplog.text) == (name != own)


def test_two_spellings_of_one_modality_are_refused():
    with pytest.raises(LayoutError, match="T1w and mprage"):
        match_modalities(Named("T1w", "mprage"), ("t1",))


def test_check_says_which_file_is_which_modality(
    scans: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.INFO):
        check(write_table(tmp_path, "id,flair,t1", ("a", scans["flair"], scans["t1"])))
    assert "case a: used: flair = flair.nii.gz, t1 = t1.nii.gz" in caplog.messages


def test_train_matches_names_and_says_what_is_used(
    scans: dict[str, str], tiny_recipe: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    rows = [(str(number), scans["flair"], scans["t1"], scans["mask"]) for number in range(3)]
    data = write_table(tmp_path / "data", "id,FLAIR,T1w,label", *rows)
    with caplog.at_level(logging.INFO):
        trained = train(tiny_recipe, data, tmp_path / "run", changes=["training.steps=1"])
    assert trained.is_finished
    assert "all 3 cases: used: flair = flair.nii.gz, t1 = t1.nii.gz" in caplog.messages


def test_a_required_modality_fails_the_case_without_it(
    forgiving: Path, scans: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Also where the case was predicted without it before: its old mask goes."""
    data = write_table(tmp_path / "data", "id,FLAIR,T1w", ("a", scans["flair"], scans["t1"]), ("b", scans["flair"], ""))
    out = tmp_path / "out"
    assert predict(forgiving, data, out).failures == {}
    kept = (out / "a_mask.nii.gz").stat().st_mtime_ns
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(forgiving), data, str(out), "--require", "T1"])
    assert ended.value.code == 1
    assert re.search(
        r"failed: b: wanted the required modality t1; found only flair = flair\.nii\.gz", capsys.readouterr().out
    )
    assert not (out / "b_mask.nii.gz").exists()
    assert (out / "a_mask.nii.gz").stat().st_mtime_ns == kept, "a has T1, and is not done again"


def test_what_was_used_stays_beside_the_masks(forgiving: Path, scans: dict[str, str], tmp_path: Path):
    predict(
        forgiving, write_table(tmp_path / "data", "id,flair,t2", ("a", scans["flair"], scans["t1"])), tmp_path / "out"
    )
    record = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert record["a"]["used"] == "used: flair = flair.nii.gz; not found: t1; ignored: t2 = t1.nii.gz"


def test_threshold_and_smallest_lesion_of_one_run(trained: Trained, cohort: Path, tmp_path: Path):
    """They decide the mask, are part of a case's key, and stay beside the masks; the checkpoint keeps its own."""

    def run(**options: float) -> int:
        predicted = predict(trained.folder, f"wmh2017:{cohort}", tmp_path, split="test", **options)
        assert not predicted.failures
        return int(np.asarray(nibabel.load(predicted.files[0]).dataobj).sum())

    sizes = [run(threshold=threshold) for threshold in (0.0, 0.5, 0.99)]
    assert sizes[0] >= sizes[1] > sizes[2]
    assert run(threshold=0.0, smallest_lesion_mm3=1e9) == 0
    note = read_maker(tmp_path)
    assert note is not None
    assert note.postprocessing.smallest_lesion_mm3 == 1e9
    assert note.find() is None, "the checkpoint's model card is not credited with it"
    assert open_checkpoint(trained.folder).postprocessing.threshold == 0.5


@pytest.mark.parametrize(
    "options",
    [
        {"threshold": 1.0},
        {"threshold": -0.1},
        {"threshold": float("nan")},
        {"smallest_lesion_mm3": -1.0},
        {"smallest_lesion_mm3": float("inf")},
    ],
    ids=str,
)
def test_numbers_out_of_range_are_refused(trained: Trained, cohort: Path, tmp_path: Path, options: dict[str, float]):
    option = "--threshold" if "threshold" in options else "--smallest-lesion"
    with pytest.raises(OptionError, match=option):
        predict(trained.folder, f"wmh2017:{cohort}", tmp_path, **options)
    assert not list(tmp_path.iterdir())


def test_a_series_that_is_no_known_modality_is_named(
    forgiving: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
):
    """Of two DICOM series one description says nothing: FLAIR alone is used, which is said and can be refused."""
    flair, t1, _ = phantom(30)
    write_series(tmp_path / "scans" / "anna" / "s3", flair, description="tirm_tra_dark-fluid", spacing_mm=(1, 1, 3))
    write_series(tmp_path / "scans" / "anna" / "s7", t1, description="mpr iso", spacing_mm=(1, 1, 3))
    data = f"dicom:{tmp_path / 'scans'}"
    with caplog.at_level(logging.INFO):
        assert predict(forgiving, data, tmp_path / "out").failures == {}
    (line,) = [message for message in caplog.messages if message.startswith("case anna: ")]
    assert re.fullmatch(r"case anna: used: flair = s3.*; not found: t1; ignored: .*mpr iso.*", line)
    assert "no case has t1" in caplog.text
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(forgiving), data, str(tmp_path / "out"), "--require", "T1w"])
    assert ended.value.code == 1
    assert "mpr iso" in capsys.readouterr().out
    caplog.clear()
    with caplog.at_level(logging.INFO):
        check(data)
    assert any("mpr iso" in message for message in caplog.messages)
