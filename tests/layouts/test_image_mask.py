"""What is special to sets of pictures; the rest is in tests/test_all_layouts.py."""

import unicodedata
from pathlib import Path

import pytest
from sample_datasets import write_picture

from lesionlab.core.errors import LayoutError, SplitError
from lesionlab.layouts import ImageMask


def test_pictures_beside_their_masks(tmp_path: Path):
    """As the set of lower-grade gliomas is distributed: a folder per patient."""
    for slice_number in (1, 2, 10):
        stem = tmp_path / "TCGA_DU_6405_19851005" / f"TCGA_DU_6405_19851005_{slice_number}"
        write_picture(stem.with_name(f"{stem.name}.tif"))
        write_picture(stem.with_name(f"{stem.name}_mask.tif"), mode="L")
    cases = list(ImageMask(tmp_path).cases())
    assert [case.id.rpartition("_")[2] for case in cases] == ["1", "2", "10"]
    assert {case.group for case in cases} == {"TCGA_DU_6405"}
    assert cases[0].label.name == "TCGA_DU_6405_19851005_1_mask.tif"
    assert cases[0].parts == {"red": "0", "green": "1", "blue": "2"}


def test_split_folders_name_cases_and_keep_equal_names_apart(tmp_path: Path):
    for part in ("train", "val", "Test"):
        write_picture(tmp_path / part / "images" / "7.jpg")
        write_picture(tmp_path / part / "masks" / "7.jpg", mode="L")
    found = [(case.id, case.group, case.split) for case in ImageMask(tmp_path).cases()]
    assert found == [
        ("Test_7", "Test_7", "test"),
        ("train_7", "train_7", "training"),
        ("val_7", "val_7", "validation"),
    ]


@pytest.mark.parametrize("mask", ["a.png", "a_mask.png", "a_segmentation.jpg", "a_seg.bmp"])
def test_names_of_masks(tmp_path: Path, mask: str):
    write_picture(tmp_path / "images" / "a.PNG")
    write_picture(tmp_path / "masks" / mask, mode="L")
    (case,) = ImageMask(tmp_path).cases()
    assert (case.id, case.label.name) == ("a", mask)


@pytest.mark.parametrize(
    ("mode", "modalities"),
    [
        ("L", ("grey",)),
        ("1", ("grey",)),
        ("I;16", ("grey",)),
        ("RGB", ("red", "green", "blue")),
        ("RGBA", ("red", "green", "blue")),
        ("P", ("red", "green", "blue")),
    ],
)
def test_channels_follow_the_first_picture(tmp_path: Path, mode: str, modalities: tuple[str, ...]):
    write_picture(tmp_path / "images" / "a.png", mode=mode)
    assert ImageMask(tmp_path).modalities == modalities


def test_options(tmp_path: Path):
    text = """
        channels = ["t1", "flair", "t1ce"]
        images = "Slices"
        masks = "Ground Truth"
        patient = "(p\\\\d+)-"
        regions = { oedema = [1, 2], core = [2] }
        citation = "our own clinic"
    """
    (tmp_path / "lesionlab.toml").write_text(text)
    for name in ("p7-1", "p7-2", "p12-1"):
        write_picture(tmp_path / "Slices" / f"{name}.tif")
        write_picture(tmp_path / "Ground Truth" / f"{name}.png", mode="L")
    dataset = ImageMask(tmp_path)
    assert dataset.modalities == ("t1", "flair", "t1ce")
    assert dataset.labels.regions == {"oedema": {1, 2}, "core": {2}}
    assert dataset.labels.lesion_above is None
    assert dataset.citation == "our own clinic"
    assert [(case.id, case.group) for case in dataset.cases()] == [("p7-1", "p7"), ("p7-2", "p7"), ("p12-1", "p12")]


def test_a_name_without_its_patient_is_refused(tmp_path: Path):
    (tmp_path / "lesionlab.toml").write_text("patient = '(p[0-9]+)'")
    write_picture(tmp_path / "images" / "q1.png")
    with pytest.raises(LayoutError, match="'q1'"):
        list(ImageMask(tmp_path).cases())


def test_a_table_of_splits(tmp_path: Path):
    """As the sets of skin and polyps come: image_id is the file's name, category train or test."""
    for name in ("a", "b"):
        write_picture(tmp_path / "images" / f"{name}.jpg")
    (tmp_path / "test_train_data.csv").write_text("image_id,category\na.jpg,train\nb.jpg,test\n")
    assert [(case.split, case.category) for case in ImageMask(tmp_path).cases()] == [("training", None), ("test", None)]


def test_a_table_sets_pictures_aside_and_takes_none_back(tmp_path: Path):
    for name in ("train/images/a", "test/images/b"):
        write_picture(tmp_path / f"{name}.jpg")
    table = tmp_path / "parts.csv"
    table.write_text("image_id,category\na.jpg,validation\nb.jpg,test\n")
    assert [case.split for case in ImageMask(tmp_path).cases()] == ["test", "validation"]
    table.write_text("image_id,category\na.jpg,train\nb.jpg,train\n")
    with pytest.raises(SplitError, match="test by the folder test but training by the table of pictures: test_b"):
        list(ImageMask(tmp_path).cases())


def test_a_table_of_categories(tmp_path: Path):
    for name in ("a", "b", "c"):
        write_picture(tmp_path / "images" / f"{name}.jpg")
    (tmp_path / "classes.csv").write_text("image_id;category\r\na;naevus\r\nb.jpg;melanoma\r\n")
    assert [(case.split, case.category) for case in ImageMask(tmp_path).cases()] == [
        (None, "naevus"),
        (None, "melanoma"),
        (None, None),
    ]


def test_two_tables_are_refused_and_one_can_be_chosen(tmp_path: Path):
    write_picture(tmp_path / "images" / "a.jpg")
    for name in ("fold1.csv", "fold2.csv"):
        (tmp_path / name).write_text("image_id,category\na.jpg,test\n")
    with pytest.raises(LayoutError, match=r"fold1\.csv and fold2\.csv"):
        list(ImageMask(tmp_path).cases())
    (tmp_path / "lesionlab.toml").write_text("file = 'fold2.csv'")
    assert [case.split for case in ImageMask(tmp_path).cases()] == ["test"]


def test_a_damaged_first_picture_is_refused(tmp_path: Path):
    write_picture(tmp_path / "images" / "a.png")
    (tmp_path / "images" / "a.png").write_bytes(b"no picture")
    with pytest.raises(LayoutError, match="save it again"):
        ImageMask(tmp_path)


def test_real_slices_belong_to_their_patients(real_data: Path):
    dataset = ImageMask(real_data / "2d" / "lgg_mri")
    cases = list(dataset.cases())
    assert (len(cases), len({case.group for case in cases})) == (655, 88)
    assert all(case.label is not None for case in cases)


def test_real_polyps_keep_their_split(real_data: Path):
    cases = list(ImageMask(real_data / "2d" / "kvasir_seg").cases())
    splits = [case.split for case in cases]
    assert (splits.count("training"), splits.count("validation"), len(splits)) == (800, 100, 900)
    assert all(case.label is not None for case in cases)


def test_several_masks_of_a_picture_are_joined_and_are_no_pictures(tmp_path: Path):
    """As BUSI is distributed: ``benign (2)_mask.png`` and ``benign (2)_mask_1.png``."""
    for name in ("benign (1)", "benign (2)", "benign (2)_mask", "benign (2)_mask_1", "benign (1)_mask"):
        write_picture(tmp_path / "benign" / f"{name}.png", mode="L")
    first, second = ImageMask(tmp_path).cases()
    assert (first.id, first.label.name, first.further_labels) == ("benign (1)", "benign (1)_mask.png", ())
    assert [path.name for path in second.further_labels] == ["benign (2)_mask_1.png"]


def test_pictures_made_from_others_are_left_alone(tmp_path: Path):
    for name in ("ISIC_1.jpg", "ISIC_1_superpixels.png", "ISIC_2.jpg", "ISIC_2_b.jpg", "alone_x.jpg"):
        write_picture(tmp_path / "images" / name)
    write_picture(tmp_path / "masks" / "ISIC_1_segmentation.png", mode="L")
    write_picture(tmp_path / "masks" / "ISIC_2_b_segmentation.gif", mode="L")
    assert [case.id for case in ImageMask(tmp_path).cases()] == ["ISIC_1", "ISIC_2", "ISIC_2_b", "alone_x"]


@pytest.mark.parametrize("name", ["a.mat", "a_mask.xml", "a_segmentation.svg", "a.nii.gz"])
def test_masks_in_formats_that_are_not_read_are_named(tmp_path: Path, name: str):
    write_picture(tmp_path / "images" / "a.png")
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / name).touch()
    with pytest.raises(LayoutError, match=name):
        list(ImageMask(tmp_path).cases())


def test_composed_and_decomposed_names_belong_together(tmp_path: Path):
    write_picture(tmp_path / "images" / unicodedata.normalize("NFC", "Müller.png"))
    write_picture(tmp_path / "masks" / unicodedata.normalize("NFD", "Müller_mask.png"), mode="L")
    (case,) = ImageMask(tmp_path).cases()
    assert case.label is not None


def test_colours_of_masks(tmp_path: Path):
    write_picture(tmp_path / "images" / "a.png")
    options = tmp_path / "lesionlab.toml"
    options.write_text("colours = { polyp = [255, 0, 0], tool = [0, 255, 0] }\n")
    labels = ImageMask(tmp_path).labels
    assert labels.values_of_colours == {(0, 0, 0): 0, (255, 0, 0): 1, (0, 255, 0): 2}
    for wrong in ("colours = { a = [255, 0, 0], b = [255, 0, 0] }", "colours = { a = [256, 0, 0] }"):
        options.write_text(wrong)
        with pytest.raises(LayoutError, match="colour"):
            ImageMask(tmp_path)
