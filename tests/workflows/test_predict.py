"""Predict does what is left to do, names what failed, and writes nothing half."""

import itertools
import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from tiny_training import phantom, save, write_case

from lesionlab.core.case import Case
from lesionlab.core.errors import CheckpointError, LayoutError, OptionError
from lesionlab.core.labels import LESION, Labels
from lesionlab.core.postprocessing import Postprocessing
from lesionlab.engine.checkpoint import open_checkpoint, save_postprocessing
from lesionlab.engine.predictor import Predictor
from lesionlab.workflows.predict import Predicted, WrittenAs, _is_picture, predict, written_as
from lesionlab.workflows.train import Trained


@pytest.fixture
def checkpoint(trained: Trained, tmp_path: Path) -> Path:
    """A copy of the checkpoint whose threshold some voxels are above."""
    folder = Path(shutil.copytree(trained.folder / "best", tmp_path / "best"))
    save_postprocessing(open_checkpoint(folder), Postprocessing(threshold=0.4))
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for number in range(2):
        write_case(tmp_path / "data" / "Site" / str(number), seed=20 + number)
    return tmp_path / "data"


@pytest.fixture
def run(checkpoint: Path, data: Path, tmp_path: Path):
    def predict_into_out(**options: object) -> Predicted:
        return predict(checkpoint, f"wmh2017:{data}", tmp_path / "out", **options)

    return predict_into_out


def times(predicted: Predicted) -> list[int]:
    return [file.stat().st_mtime_ns for file in predicted.files]


def test_one_mask_per_case_on_its_grid(run, data: Path):
    predicted = run()
    assert [file.name for file in predicted.files] == ["Site_0_mask.nii.gz", "Site_1_mask.nii.gz"]
    assert predicted.failures == {}
    for number, file in enumerate(predicted.files):
        mask, scan = nibabel.load(file), nibabel.load(data / "Site" / str(number) / "pre" / "FLAIR.nii.gz")
        assert mask.shape == scan.shape
        assert mask.get_data_dtype() == np.uint8
        np.testing.assert_allclose(mask.affine, scan.affine, atol=1e-4)
        assert set(np.unique(np.asarray(mask.dataobj)).tolist()) <= {0, 1}


def test_finished_work_is_not_done_again(run):
    first = run()
    before = times(first)
    assert run() == first
    assert times(first) == before


def test_a_changed_scan_alone_is_done_again(run, data: Path):
    before = times(run())
    save(data / "Site" / "1" / "pre" / "T1.nii.gz", phantom(50)[1])
    after = times(run())
    assert after[0] == before[0]
    assert after[1] > before[1]


def test_another_choice_of_threshold_or_windows_is_done_again(run, checkpoint: Path):
    moments = [times(run())]
    save_postprocessing(open_checkpoint(checkpoint), Postprocessing(threshold=0.2))
    moments.append(times(run()))
    moments.append(times(run(flips=True)))
    moments.append(times(run(flips=True, overlap=0.7)))
    for earlier, later in itertools.pairwise(moments):
        assert all(new > old for new, old in zip(later, earlier, strict=True))


def test_a_deleted_mask_is_made_again(run):
    first = run()
    expected = first.files[0].read_bytes()
    first.files[0].unlink()
    assert run().files[0].read_bytes() == expected


def test_a_damaged_list_of_finished_work_is_made_again(run, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    first = run()
    for content in ("{", "[]", '{"Site_0": 3}'):
        (tmp_path / "out" / "predictions.json").write_text(content)
        with caplog.at_level(logging.WARNING):
            assert run() == first
    assert "damaged" in caplog.text
    assert set(json.loads((tmp_path / "out" / "predictions.json").read_text())) == {"Site_0", "Site_1"}


def test_two_runs_are_byte_identical(run):
    first = run()
    before = [file.read_bytes() for file in first.files]
    for file in first.files:
        file.unlink()
    assert [file.read_bytes() for file in run().files] == before


def test_a_broken_case_does_not_stop_the_others(run, data: Path, tmp_path: Path):
    broken = data / "Site" / "0" / "pre" / "T1.nii.gz"
    broken.write_bytes(broken.read_bytes()[:100])
    predicted = run()
    assert [file.name for file in predicted.files] == ["Site_1_mask.nii.gz"]
    assert list(predicted.failures) == ["Site_0"]
    assert str(broken) in predicted.failures["Site_0"]
    assert not (tmp_path / "out" / "Site_0_mask.nii.gz").exists()


def test_the_mask_of_an_earlier_scan_is_not_named_as_this_one_s(run, data: Path):
    run()
    (data / "Site" / "0" / "pre" / "T1.nii.gz").write_bytes(b"broken since")
    predicted = run()
    assert [file.name for file in predicted.files] == ["Site_1_mask.nii.gz"]
    assert list(predicted.failures) == ["Site_0"]


def test_a_case_that_now_fails_leaves_nothing_of_an_earlier_run(run, data: Path, tmp_path: Path):
    """Also where the list of finished work is damaged."""
    run(save_probabilities=True)
    for number in ("0", "1"):
        (data / "Site" / number / "pre" / "T1.nii.gz").write_bytes(b"broken since")
        assert f"Site_{number}" in run().failures
        assert not list((tmp_path / "out").glob(f"Site_{number}_*"))
        (tmp_path / "out" / "predictions.json").write_text("{")


def test_maps_that_this_run_does_not_write_are_gone(run, tmp_path: Path):
    run(save_probabilities=True)
    assert run().failures == {}
    assert not list((tmp_path / "out").glob("*_probability_*"))


def test_a_reference_alone_changes_no_prediction(run, data: Path):
    before = times(run())
    save(data / "Site" / "1" / "wmh.nii.gz", phantom(50)[2])
    assert times(run()) == before


def test_what_nobody_foresaw_is_one_case_s_failure(run, monkeypatch: pytest.MonkeyPatch):
    real = Predictor.predict

    def fail(self: Predictor, case: Case) -> object:
        if case.id == "Site_0":
            raise RuntimeError("CUDA out of memory.\nTried to allocate 3 GiB")
        return real(self, case)

    monkeypatch.setattr(Predictor, "predict", fail)
    predicted = run()
    assert predicted.failures == {"Site_0": "unexpected RuntimeError: CUDA out of memory."}
    assert [file.name for file in predicted.files] == ["Site_1_mask.nii.gz"]


@pytest.mark.parametrize(("lacking", "is_picture"), [("flair", True), ("t1", False), ("", False)])
def test_the_first_modality_that_a_case_has_decides_on_a_png(tmp_path: Path, lacking: str, is_picture: bool):
    files = {"flair": tmp_path / "flair.nii.gz", "t1": tmp_path / "t1.png"}
    images = {name: file for name, file in files.items() if name != lacking}
    case = Case(id="a", images=images, label=None, group="a")
    assert _is_picture(case, ("flair", "t1")) == is_picture


def test_probability_maps_agree_with_the_masks(run, checkpoint: Path):
    predicted = run(save_probabilities=True)
    names = [file.name for file in predicted.files]
    assert names[:2] == ["Site_0_mask.nii.gz", "Site_0_probability_lesion.nii.gz"]
    assert len(names) == 4
    mask, probability = (np.asarray(nibabel.load(file).dataobj) for file in predicted.files[:2])
    assert probability.dtype == np.float32
    assert 0 <= probability.min() < probability.max() <= 1
    np.testing.assert_array_equal(mask > 0, probability > np.float32(0.4))


def test_only_one_split(checkpoint: Path, cohort: Path, tmp_path: Path):
    predicted = predict(checkpoint, f"wmh2017:{cohort}", tmp_path / "out", split="test")
    assert [file.name for file in predicted.files] == ["Utrecht_9_mask.nii.gz"]
    with pytest.raises(LayoutError, match="cases of split validation; found none"):
        predict(checkpoint, f"wmh2017:{cohort}", tmp_path / "out", split="validation")


@pytest.mark.parametrize("overlap", [1.0, -0.1, 7.0])
def test_an_impossible_overlap_is_refused(run, tmp_path: Path, overlap: float):
    with pytest.raises(OptionError, match=f"--overlap; found {overlap}"):
        run(overlap=overlap)
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_for_other_modalities_is_refused(trained: Trained, data: Path, tmp_path: Path):
    opened = open_checkpoint(trained.folder)
    recipe = opened.plan.recipe.model_copy(update={"modalities": ("flair", "t1", "dwi")})
    other = replace(opened, plan=opened.plan.model_copy(update={"recipe": recipe}))
    folder = Path(shutil.copytree(opened.folder, tmp_path / "three"))
    (folder / "plan.json").write_text(other.plan.model_dump_json())
    with pytest.raises(CheckpointError, match="3 modalities flair, t1, dwi"):
        predict(folder, f"wmh2017:{data}", tmp_path / "out")


def test_masks_hold_the_values_of_the_data_that_they_are_made_for(trained: Trained) -> None:
    plan = open_checkpoint(trained.folder).plan.model_copy(
        update={"regions": {"WT": (1, 2, 4), "ET": (4,)}, "ignored": ()}
    )
    newer = Labels(regions={"ET": frozenset({3}), "WT": frozenset({1, 2, 3})})
    assert written_as(plan, newer) == WrittenAs(labels=newer, names=("WT", "ET"))
    assert written_as(plan, LESION) == WrittenAs(labels=plan.labels, names=("WT", "ET"))
    further = Labels(regions={**newer.regions, "RC": frozenset({4})})
    assert written_as(plan, further) == WrittenAs(labels=further, names=("WT", "ET"))
    one = plan.model_copy(update={"regions": {"tumour": (1,)}})
    stroke = Labels(regions={"stroke": frozenset({3})})
    assert written_as(one, stroke) == WrittenAs(labels=stroke, names=("stroke",))
