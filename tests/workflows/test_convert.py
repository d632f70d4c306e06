"""Datasets written anew: nothing is lost on the way to nnU-Net or BIDS and back, and nothing is done twice."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from dicom_files import write_series
from sample_datasets import SAMPLES

from lesionlab.cli.main import main
from lesionlab.core.case import Case
from lesionlab.core.errors import LayoutError
from lesionlab.core.grid import Grid
from lesionlab.core.layout import Layout
from lesionlab.engine.case_files import read_brain_mask, read_mask, read_scan
from lesionlab.engine.images import write_image
from lesionlab.layouts.licence import find_licence
from lesionlab.layouts.opening import open_layout
from lesionlab.workflows.convert import convert

FORMS = ("nnunet_raw", "bids")
GRID = Grid.of((4, 5, 6), np.diag([-1.0, -2.0, 3.0, 1.0]))


def write_table(folder: Path, rows: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cases.csv").write_text("\n".join(rows) + "\n")


def small_cohort(folder: Path) -> str:
    """Three patients, one of them twice, with regions that overlap and a value that must not count."""
    drawn = np.random.default_rng(0)
    rows = ["id,group,site,split,category,label,flair,t1"]
    splits = {"anna_1": "training", "anna_2": "training", "ben": "validation", "eva": "test"}
    for case, split in splits.items():
        for name in ("flair", "t1"):
            write_image(folder / f"{case}_{name}.nii.gz", drawn.normal(size=GRID.shape).astype(np.float32), grid=GRID)
        write_image(folder / f"{case}_mask.nii.gz", drawn.choice([0, 1, 2, 4, 9], GRID.shape), grid=GRID)
        rows.append(
            f"{case},{case.partition('_')[0]},Ulm,{split},glioma,{case}_mask.nii.gz,{case}_flair.nii.gz,{case}_t1.nii.gz"
        )
    write_table(folder, rows)
    (folder / "lesionlab.toml").write_text("ignored = [9]\n[regions]\nET = [4]\nWT = [1, 2, 4]\nTC = [1, 4]\n")
    return f"table:{folder}"


def in_order(layout: Layout) -> list[Case]:
    return sorted(layout.cases(), key=lambda case: (case.group.replace("_", "x").lower(), case.id))


def assert_same(before: Layout, after: Layout) -> None:
    """Every voxel of every image and region lies where it lay, and patients, sites, splits and categories are kept."""
    assert after.modalities == before.modalities
    assert set(after.labels.regions) == set(before.labels.regions)
    firsts, seconds = in_order(before), in_order(after)
    assert len({case.group for case in seconds}) == len({case.group for case in firsts})
    for first, second in zip(firsts, seconds, strict=True):
        assert (second.site, second.split, second.category) == (first.site, first.split, first.category)
        for modality in first.images:
            assert_same_voxels(read_scan(first, modality), read_scan(second, modality))
        if first.label is None:
            assert second.label is None
            continue
        old, new = read_mask(first, before.labels), read_mask(second, after.labels)
        after.labels.check(new.array, where=second.label)
        for name in before.labels.regions:
            masks = [
                image.__class__(array=mask.astype(np.int16), grid=image.grid, space_code=1)
                for image, labels in ((old, before.labels), (new, after.labels))
                for mask in [np.isin(image.array, sorted(labels.regions[name]))]
            ]
            assert_same_voxels(*masks)
        assert old.array[before.labels.ignored_of(old.array)].size == new.array[after.labels.ignored_of(new.array)].size


def assert_same_voxels(first, second) -> None:
    """Compare after turning both nearest to RAS+."""
    assert first.grid.canonical().distance_mm(second.grid.canonical()) < 1e-3
    assert first.space_code == second.space_code
    turned = [
        np.asarray(nibabel.orientations.apply_orientation(image.array, image.grid.to_canonical()))
        for image in (first, second)
    ]
    np.testing.assert_array_equal(*turned)


@pytest.mark.parametrize("form", FORMS)
def test_there_and_back(tmp_path: Path, form: str):
    data = small_cohort(tmp_path / "data")
    converted = convert(data, form, tmp_path / "out")
    assert converted.failures == {}
    assert all(path.is_file() for path in converted.files)
    assert_same(open_layout(data)[1], open_layout(f"{form}:{tmp_path / 'out'}")[1])


def test_nnunet_gets_consecutive_values_and_its_order_of_regions(tmp_path: Path):
    convert(small_cohort(tmp_path / "data"), "nnunet_raw", tmp_path / "out")
    described = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert described["labels"] == {"background": 0, "WT": [1, 2, 3], "TC": [2, 3], "ET": 3, "ignore": 4}
    assert described["regions_class_order"] == [1, 2, 3]
    assert described["channel_names"] == {"0": "flair", "1": "t1"}
    assert described["numTraining"] == 3
    folds = json.loads((tmp_path / "out" / "splits_final.json").read_text())
    assert folds == [{"train": ["anna_1", "anna_2"], "val": ["ben"]}]
    assert (tmp_path / "out" / "imagesTs" / "eva_0001.nii.gz").is_file()


def test_bids_has_its_names(tmp_path: Path):
    convert(small_cohort(tmp_path / "data"), "bids", tmp_path / "out")
    found = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.nii.gz")}
    masks = "derivatives/lesionlab"
    assert {name for name in found if "eva" not in name and "ben" not in name} == {
        "sub-anna/ses-1/anat/sub-anna_ses-1_FLAIR.nii.gz",
        "sub-anna/ses-1/anat/sub-anna_ses-1_T1w.nii.gz",
        "sub-anna/ses-2/anat/sub-anna_ses-2_FLAIR.nii.gz",
        "sub-anna/ses-2/anat/sub-anna_ses-2_T1w.nii.gz",
        f"{masks}/sub-anna/ses-1/anat/sub-anna_ses-1_desc-lesion_dseg.nii.gz",
        f"{masks}/sub-anna/ses-2/anat/sub-anna_ses-2_desc-lesion_dseg.nii.gz",
    }
    assert (
        json.loads((tmp_path / "out" / masks / "dataset_description.json").read_text())["DatasetType"] == "derivative"
    )
    assert "3\tWT+TC+ET\n4\tignored\n" in (tmp_path / "out" / masks / "desc-lesion_dseg.tsv").read_text()


def test_bids_has_a_label_for_lesions_and_ignores_what_it_has_no_name_for(tmp_path: Path):
    names = ("mask", "dwi", "adc", "ct", "swi", "t2star")
    for name in names:
        write_image(tmp_path / "data" / f"{name}.nii.gz", np.zeros(GRID.shape, dtype=np.uint8), grid=GRID)
    files = ",".join(f"{name}.nii.gz" for name in names)
    write_table(tmp_path / "data", ["id,label,dwi,adc,ct,swi,t2star", f"eva,{files}"])
    convert(f"table:{tmp_path / 'data'}", "bids", tmp_path / "out")
    masks = tmp_path / "out" / "derivatives" / "lesionlab"
    assert (masks / "sub-eva" / "anat" / "sub-eva_label-L_mask.nii.gz").is_file()
    assert json.loads((masks / "label-L_mask.json").read_text()) == {"Type": "Lesion"}
    assert {path.name for path in (tmp_path / "out" / "sub-eva" / "dwi").iterdir()} == {
        "sub-eva_trace.nii.gz",
        "sub-eva_ADC.nii.gz",
    }
    ignored = (tmp_path / "out" / ".bidsignore").read_text().split()
    assert ignored == ["conversion.json", "lesionlab.toml", "ct", "swi", "*_t2star.nii.gz"]
    assert set(open_layout(f"bids:{tmp_path / 'out'}")[1].modalities) == {"dwi", "adc", "ct", "swi", "t2star"}


def test_the_mask_of_the_brain_goes_where_the_form_has_a_place(tmp_path: Path):
    scan, brain = np.random.default_rng(0).normal(size=GRID.shape), np.zeros(GRID.shape, dtype=np.uint8)
    brain[1:3, 1:4, 2:5] = 255
    for name, array in (("flair", scan), ("lesion", (scan > 2).astype(np.uint8)), ("brain", brain)):
        write_image(tmp_path / "data" / f"{name}.nii.gz", array, grid=GRID)
    write_table(tmp_path / "data", ["id,label,brain_mask,flair", "eva,lesion.nii.gz,brain.nii.gz,flair.nii.gz"])
    data = f"table:{tmp_path / 'data'}"
    assert len(convert(data, "nnunet_raw", tmp_path / "nnunet").files) == len(("scan", "lesion", "json", "csv"))
    assert convert(data, "bids", tmp_path / "bids").failures == {}
    (before,), (after,) = (list(open_layout(one)[1].cases()) for one in (data, f"bids:{tmp_path / 'bids'}"))
    assert after.label is not None
    assert_same_voxels(read_brain_mask(before), read_brain_mask(after))


@pytest.mark.parametrize(("form", "file", "key"), [("bids", "dataset_description.json", "License"),
                                                   ("nnunet_raw", "dataset.json", "licence")])  # fmt: skip
def test_the_licence_goes_along(tmp_path: Path, form: str, file: str, key: str):
    data = small_cohort(tmp_path / "data")
    options = tmp_path / "data" / "lesionlab.toml"
    options.write_text(f'licence = "CC0"\n{options.read_text()}')
    convert(data, form, tmp_path / "out")
    assert json.loads((tmp_path / "out" / file).read_text())[key] == "CC0"
    assert find_licence(tmp_path / "out") == find_licence(tmp_path / "data") == "CC0"
    assert find_licence(tmp_path) == ""


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["wmh2017", "wmh_split", "atlas_r1", "bids", "nnunet_raw", "image_mask"])
def test_every_kind_of_layout_goes_through(tmp_path: Path, name: str, form: str):
    SAMPLES[name].build(tmp_path / "data", SAMPLES[name].endings[0])
    converted = convert(f"{name}:{tmp_path / 'data'}", form, tmp_path / "out")
    assert converted.failures == {}
    before = open_layout(f"{name}:{tmp_path / 'data'}")[1]
    assert_same(before, open_layout(f"{form}:{tmp_path / 'out'}")[1])


def test_dicom_becomes_nifti_without_a_trace_of_the_person(tmp_path: Path):
    voxels = np.arange(60).reshape(5, 4, 3)
    write_series(tmp_path / "data" / "p1" / "3", voxels, description="T1", spacing_mm=(0.5, 0.5, 4.0))
    (path,) = [path for path in convert(f"dicom:{tmp_path / 'data'}", "bids", tmp_path / "out").files
               if path.name.endswith("T1w.nii.gz")]  # fmt: skip
    image = nibabel.load(path)
    np.testing.assert_array_equal(np.asarray(image.dataobj), voxels[::-1, ::-1])
    assert nibabel.aff2axcodes(image.affine) == ("R", "A", "S")
    everything = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert b"anary" not in everything + image.to_bytes()


def test_finished_work_is_not_done_again(tmp_path: Path):
    data, out = small_cohort(tmp_path / "data"), tmp_path / "out"
    files = convert(data, "nnunet_raw", out).files
    before = {path: path.stat().st_mtime_ns for path in files}
    write_image(tmp_path / "data" / "ben_t1.nii.gz", np.ones(GRID.shape, np.float32), grid=GRID)
    (out / "labelsTs" / "eva.nii.gz").unlink()
    assert convert(data, "nnunet_raw", out).files == files
    changed = {path.name.partition("_0")[0] for path in files if path.stat().st_mtime_ns != before[path]}
    assert changed >= {"ben", "eva", "ben.nii.gz", "eva.nii.gz"}
    assert not any(name.startswith("anna") for name in changed)
    assert nibabel.load(out / "imagesTr" / "ben_0001.nii.gz").get_fdata().min() == 1


def test_a_case_is_converted_again_where_its_files_get_other_names(tmp_path: Path):
    """A second visit makes sessions of both."""
    data = small_cohort(tmp_path / "data")
    *rows, moved = [row for row in (tmp_path / "data" / "cases.csv").read_text().splitlines() if "anna_2" not in row]
    write_table(tmp_path / "data", [*rows, moved])
    convert(data, "bids", tmp_path / "out")
    assert (tmp_path / "out" / "sub-eva" / "anat" / "sub-eva_T1w.nii.gz").exists()
    visit = moved.replace("eva,eva", "visit2,eva", 1)
    write_table(tmp_path / "data", [*rows, moved, visit])
    convert(data, "bids", tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out").rglob("sub-eva*_T1w.nii.gz"))
    assert names == ["sub-eva_ses-eva_T1w.nii.gz", "sub-eva_ses-visit2_T1w.nii.gz"]


def test_a_bad_case_does_not_stop_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data = small_cohort(tmp_path / "data")
    (tmp_path / "data" / "ben_t1.nii.gz").write_bytes(b"damaged")
    with pytest.raises(SystemExit) as caught:
        main(["convert", data, "nnunet_raw", str(tmp_path / "out")])
    assert caught.value.code == 1
    said = capsys.readouterr().out
    assert "failed: ben: wanted" in said
    assert json.loads((tmp_path / "out" / "dataset.json").read_text())["numTraining"] == 2


def test_another_grid_is_refused_or_resampled(tmp_path: Path):
    data = small_cohort(tmp_path / "data")
    other = Grid.of((8, 10, 6), np.diag([-0.5, -1.0, 3.0, 1.0]))
    write_image(tmp_path / "data" / "eva_t1.nii.gz", np.full(other.shape, 7.0, np.float32), grid=other)
    refused = convert(data, "nnunet_raw", tmp_path / "refused")
    assert list(refused.failures) == ["eva"]
    assert "--resample" in refused.failures["eva"]
    resampled = convert(data, "nnunet_raw", tmp_path / "resampled", resample=True)
    assert resampled.failures == {}
    image = nibabel.load(tmp_path / "resampled" / "imagesTs" / "eva_0001.nii.gz")
    assert image.shape == GRID.shape
    assert np.unique(image.get_fdata()).tolist() == [7.0]
    assert convert(data, "bids", tmp_path / "bids").failures == {}


def test_the_dataset_s_own_folder_and_others_are_refused(tmp_path: Path):
    data = small_cohort(tmp_path / "data")
    for out in (tmp_path / "data", tmp_path / "data" / "new", tmp_path):
        with pytest.raises(LayoutError, match="apart from the dataset"):
            convert(data, "bids", out)
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "1.txt").write_text("Dear colleague")
    with pytest.raises(LayoutError, match="other files"):
        convert(data, "bids", tmp_path / "letters")
    convert(data, "bids", tmp_path / "out")
    assert not list((tmp_path / "data").glob("*.json"))
    rows = (tmp_path / "data" / "cases.csv").read_text().splitlines()
    write_table(tmp_path / "data", rows[:-1])
    with pytest.raises(LayoutError, match="case 'eva'"):
        convert(data, "bids", tmp_path / "out")


@pytest.mark.parametrize(
    ("second", "message"),
    [("a.1,anna,training", "case 'a.1' and case 'a_1'"), ("b,anna,test", "training and"), ("b,an_na,test", "patient")],
)
def test_bids_refuses_what_it_has_no_names_for(tmp_path: Path, second: str, message: str):
    write_image(tmp_path / "data" / "f.nii", np.zeros(GRID.shape, np.uint8), grid=GRID)
    group = "an na" if message == "patient" else "anna"
    write_table(tmp_path / "data", ["id,group,split,flair", f"a_1,{group},training,f.nii", f"{second},f.nii"])
    with pytest.raises(LayoutError, match=message):
        convert(f"table:{tmp_path / 'data'}", "bids", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_case_that_moves_leaves_nothing_behind(tmp_path: Path):
    data, out = small_cohort(tmp_path / "data"), tmp_path / "out"
    convert(data, "nnunet_raw", out)
    table = tmp_path / "data" / "cases.csv"
    table.write_text(table.read_text().replace("test", "training"))
    assert convert(data, "nnunet_raw", out).failures == {}
    assert list(out.glob("*Ts/eva*")) == []
    (tmp_path / "data" / "eva_t1.nii.gz").write_bytes(b"damaged")
    assert list(convert(data, "nnunet_raw", out).failures) == ["eva"]
    assert list(out.glob("*/eva*")) == []


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_real_scans_there_and_back(real_data: Path, tmp_path: Path, form: str):
    """A case each of multiple sclerosis (thick slices) and stroke, with what must not count and overlapping regions."""
    brain = real_data / "brain"
    rows = ["id,site,split,label,flair,t1"]
    for case, split in (("ms_simvent_104252", "training"), ("ms_simvent_105465", "test")):
        files = [str(brain / case / f"{name}.nii.gz") for name in ("mask_wmh2", "flair", "t1")]
        rows.append(",".join([case, "Ulm", split, *files]))
    write_table(tmp_path / "data", rows)
    (tmp_path / "data" / "lesionlab.toml").write_text("ignored = [2]\n[regions]\nlesion = [1]\n")
    data = f"table:{tmp_path / 'data'}"
    assert convert(data, form, tmp_path / "out").failures == {}
    assert_same(open_layout(data)[1], open_layout(f"{form}:{tmp_path / 'out'}")[1])


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_real_pictures_there_and_back(real_data: Path, tmp_path: Path, form: str):
    pictures = real_data / "2d" / "lgg_mri"
    for path in sorted((pictures / "masks").iterdir())[:4]:
        for name in ("images", "masks"):
            (tmp_path / "data" / name).mkdir(parents=True, exist_ok=True)
            (tmp_path / "data" / name / path.name).symlink_to(pictures / name / path.name)
    data = f"image_mask:{tmp_path / 'data'}"
    assert convert(data, form, tmp_path / "out").failures == {}
    assert_same(open_layout(data)[1], open_layout(f"{form}:{tmp_path / 'out'}")[1])
    after = open_layout(f"{form}:{tmp_path / 'out'}")[1]
    assert any(read_mask(case, after.labels).array.any() for case in after.cases())
