"""What is special to lists; the rest is in tests/test_all_layouts.py."""

import json
from pathlib import Path
from typing import Any

import pytest

from lesionlab.core.errors import LayoutError, SplitError
from lesionlab.layouts import Datalist


def write_list(folder: Path, name: str = "list.json", **content: Any) -> None:
    """Write a list, and empty files for all that it names."""
    (folder / name).write_text(json.dumps(content))
    for entry in (entry for entries in content.values() if isinstance(entries, list) for entry in entries):
        images = [entry["image"]] if isinstance(entry["image"], str) else entry["image"]
        for path in [*images, *([entry["label"]] if isinstance(entry.get("label"), str) else [])]:
            (folder / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            (folder / path.lstrip("/")).touch()


def test_classification(tmp_path: Path):
    """As sa-swin has it: numbers as ids and labels, folds, paths that begin with a slash."""
    write_list(
        tmp_path,
        training=[
            {"id": 0, "fold": 3, "image": ["/sub-A/t1_aligned.nii.gz"], "label": 0},
            {"id": 1, "fold": 0, "image": ["/sub-B/t1_aligned.nii.gz"], "label": 1},
        ],
    )
    dataset = Datalist(tmp_path)
    first, second = dataset.cases()
    assert dataset.modalities == ("t1",)
    assert (first.id, first.split, first.category, first.label) == ("0", "training", "0", None)
    assert (second.id, second.split, second.category) == ("1", "validation", "1")
    assert second.images["t1"] == tmp_path / "sub-B/t1_aligned.nii.gz"


def test_pre_training_reads_all_lists(tmp_path: Path):
    write_list(tmp_path, "a.json", training=[{"image": "site1/a.nii.gz"}, {"image": "site1/b.nii.gz"}])
    write_list(tmp_path, "b.json", validation=[{"image": "site2/c.nii.gz"}])
    (tmp_path / "settings.json").write_text('{"learning_rate": 1}')
    found = [(case.id, case.split, case.label, case.category) for case in Datalist(tmp_path).cases()]
    assert found == [
        ("site1_a", "training", None, None),
        ("site1_b", "training", None, None),
        ("site2_c", "validation", None, None),
    ]


def test_segmentation_with_folds_and_named_channels(tmp_path: Path):
    names = ("flair", "t1ce", "t1", "t2")
    entries = [
        {"fold": fold, "image": [f"c{fold}/{name}.nii.gz" for name in names], "label": f"c{fold}/seg.nii.gz"}
        for fold in range(3)
    ]
    write_list(tmp_path, training=entries, testing=[{"image": [f"c9/{name}.nii.gz" for name in names]}])
    dataset = Datalist(tmp_path)
    assert dataset.modalities == names
    assert [(case.id, case.split) for case in dataset.cases()] == [
        ("c0", "validation"), ("c1", "training"), ("c2", "training"), ("c9", "test"),
    ]  # fmt: skip
    options = 'fold = 2\nchannels = ["a", "b", "c", "d"]\n[regions]\nWT = [1, 2, 4]\nET = [4]\n'
    (tmp_path / "lesionlab.toml").write_text(options)
    dataset = Datalist(tmp_path)
    assert dataset.modalities == ("a", "b", "c", "d")
    assert dataset.labels.regions == {"WT": {1, 2, 4}, "ET": {4}}
    assert [case.split for case in dataset.cases()] == ["training", "training", "validation", "test"]


@pytest.mark.parametrize(
    ("folds", "options", "said"),
    [
        ([1, 2, 3], "", "wanted entries of fold 0, which validates; found the folds 1, 2, 3"),
        ([0, 1, 2], "fold = 5", "wanted entries of fold 5"),
        ([None, None], "fold = 0", "found no folds"),
    ],
)
def test_a_fold_that_no_entry_has_is_refused(tmp_path: Path, folds: list[int | None], options: str, said: str):
    write_list(tmp_path, training=[{"fold": fold, "image": [f"c{n}/t1.nii"]} for n, fold in enumerate(folds)])
    (tmp_path / "lesionlab.toml").write_text(options)
    with pytest.raises(LayoutError, match=said):
        list(Datalist(tmp_path).cases())


@pytest.mark.parametrize(("key", "fold"), [("testing", 0), ("testing", 1), ("validation", 1)])
def test_a_case_that_is_set_aside_has_no_fold_to_learn_in(tmp_path: Path, key: str, fold: int):
    entries = [{"fold": number, "image": [f"c{number}/t1.nii"]} for number in range(2)]
    write_list(tmp_path, **{"training": entries, key: [{"fold": fold, "image": ["c9/t1.nii"]}]})
    with pytest.raises(SplitError, match=r"by the name of its list but \w+ by its fold: c9"):
        list(Datalist(tmp_path).cases())


def test_a_list_may_describe_itself(tmp_path: Path):
    """As the lists of BTCV do, beside the Decathlon's own folders."""
    pair = {"image": "imagesTr/img0001.nii.gz", "label": "labelsTr/label0001.nii.gz"}
    write_list(tmp_path, "dataset_0.json", training=[pair])
    content = json.loads((tmp_path / "dataset_0.json").read_text())
    described = {
        "modality": {"0": "CT"},
        "labels": {"0": "background", "1": "spleen"},
        "test": ["imagesTr/img0001.nii.gz"],
    }
    (tmp_path / "dataset_0.json").write_text(json.dumps({**content, **described, "test": []}))
    dataset = Datalist(tmp_path)
    (case,) = dataset.cases()
    assert dataset.modalities == ("ct",)
    assert dataset.labels.regions == {"spleen": {1}}
    assert case.id == "imagesTr"


def test_images_may_lie_elsewhere(tmp_path: Path):
    (tmp_path / "lists").mkdir()
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans/a.nii").touch()
    (tmp_path / "lists/l.json").write_text(json.dumps({"training": [{"image": "a.nii"}]}))
    (tmp_path / "lists/lesionlab.toml").write_text('images = "../scans"')
    (case,) = Datalist(tmp_path / "lists").cases()
    assert case.images["image"].resolve() == (tmp_path / "scans/a.nii").resolve()


def test_a_mask_that_is_its_image_is_refused(tmp_path: Path):
    write_list(tmp_path, training=[{"image": ["a/flair.nii.gz"], "label": "a/flair.nii.gz"}])
    with pytest.raises(LayoutError, match="a mask of its own"):
        list(Datalist(tmp_path).cases())


def test_another_number_of_images_is_refused(tmp_path: Path):
    write_list(tmp_path, training=[{"image": ["a/flair.nii", "a/t1.nii"]}, {"image": ["b/flair.nii"]}])
    with pytest.raises(LayoutError, match="2 images"):
        list(Datalist(tmp_path).cases())


def test_a_case_in_two_lists_is_refused_and_one_can_be_chosen(tmp_path: Path):
    for name in ("all.json", "few.json"):
        write_list(tmp_path, name, training=[{"image": "a/t1.nii"}])
    with pytest.raises(LayoutError, match="as file"):
        list(Datalist(tmp_path).cases())
    (tmp_path / "lesionlab.toml").write_text('file = "few.json"')
    assert [case.id for case in Datalist(tmp_path).cases()] == ["a"]


@pytest.mark.parametrize("entries", [[{"label": 1}], [{"image": []}], [{"image": "a", "label": [0, 1]}]])
def test_a_wrong_entry_is_refused(tmp_path: Path, entries: list[dict[str, Any]]):
    (tmp_path / "list.json").write_text(json.dumps({"training": entries}))
    with pytest.raises(LayoutError, match=r"training\.0"):
        Datalist(tmp_path)
