"""The file lesionlab.toml, and the names of modalities."""

from pathlib import Path

import pytest

from lesionlab.core.errors import LayoutError
from lesionlab.core.labels import LESION, Labels
from lesionlab.layouts.dataset_options import DatasetOptions, read_options
from lesionlab.layouts.modality_names import distinct, modality_in, modality_named

ALL = set(DatasetOptions.model_fields)


def test_nothing_said(tmp_path: Path):
    options = read_options(tmp_path, used=ALL)
    assert options == DatasetOptions()
    assert options.labels(LESION) == LESION
    assert options.patient_of("a_1", folder=tmp_path) == "a_1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fold = ", "Invalid value"),
        ("fold = 'one'", "fold"),
        ("colour = 'red'", "colour"),
        ("patient = '(p'", "unterminated"),
        ("patient = 'p[0-9]+'", "without a group"),
        ("[regions]\nlesion = 'all'", "regions"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, text: str, message: str):
    (tmp_path / "lesionlab.toml").write_text(text)
    with pytest.raises(LayoutError, match=message) as caught:
        read_options(tmp_path, used=ALL)
    assert caught.value.where == str(tmp_path / "lesionlab.toml")


def test_an_option_of_another_layout_is_refused(tmp_path: Path):
    (tmp_path / "lesionlab.toml").write_text("fold = 1")
    with pytest.raises(LayoutError, match="use one of citation, licence, mask"):
        read_options(tmp_path, used={"mask"})


def test_meaning_of_masks():
    default = Labels(regions={"lesion": frozenset({1})}, lesion_above=127.0)
    assert DatasetOptions().labels(default) == default
    assert DatasetOptions(lesion_above=0.5).labels(default).lesion_above == 0.5
    assert DatasetOptions(ignored=frozenset({2})).labels(LESION).ignored == {2}
    organs = DatasetOptions(regions={"liver": frozenset({6})}).labels(default)
    assert organs == Labels(regions={"liver": frozenset({6})})


def test_spellings_of_modalities():
    spelled = {"T1w": "t1", "t1gd": "t1ce", "T2-FLAIR": "flair", "t2f": "flair", "CT": "ct", "R": "red", "T2w": "t2"}
    assert {word: modality_named(word) for word in spelled} == spelled
    assert modality_named("Late Enhancement") == "late_enhancement"
    assert modality_in("sub-01_t1_aligned") == "t1"
    assert modality_in("patient_r_7") is None
    assert distinct(["mri", "ct", "mri"]) == ("mri_0", "ct", "mri_1")
