"""The spellings of modalities: without case and signs, and only whole words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlab.layouts.modality_names import SPELLINGS, modality_in, modality_named

PAIRS = [(spelling, modality) for modality, spellings in SPELLINGS.items() for spelling in spellings]


def test_no_spelling_means_two_modalities():
    assert len({spelling for spelling, _ in PAIRS}) == len(PAIRS)


@given(st.sampled_from(PAIRS), st.sampled_from(["{}", " {} ", "{}-", "({})"]), st.sampled_from([str.upper, str.title]))
def test_case_and_signs_do_not_matter(pair, form, spell):
    assert modality_named(form.format(spell(pair[0]))) == pair[1]


@pytest.mark.parametrize(
    ("name", "modality"),
    [
        ("T1w", "t1"),
        ("T1-n", "t1"),
        ("T1 pre", "t1"),
        ("T1_Gd", "t1ce"),
        ("T1 post-contrast", "t1ce"),
        ("T2-FLAIR", "flair"),
        ("T2f", "flair"),
        ("T2W", "t2"),
        ("trace", "dwi"),
        ("ADC map", "adc"),
        ("CTA", "cta"),
        ("T1 contrast", "t1_contrast"),
        ("t2star", "t2star"),
    ],
)
def test_usual_spellings(name: str, modality: str):
    assert modality_named(name) == modality


@pytest.mark.parametrize(
    ("name", "modality"),
    [
        ("case1_t1", "t1"),
        ("case1_t1_post", "t1ce"),
        ("case1_t2_flair", "flair"),
        ("sub-1_space-T1w_FLAIR", "flair"),
        ("t1_to_flair", None),
        ("ADCock_1", None),
        ("detract_2", None),
        ("scan_1", None),
        ("BRATS_001_t1ce", "t1ce"),
        ("t1-t1w", "t1"),
    ],
)
def test_whole_words_of_files(name: str, modality: str | None):
    assert modality_in(name) == modality


@given(st.sampled_from(PAIRS), st.text("xyzq", min_size=1, max_size=4), st.booleans())
def test_a_part_of_a_word_names_nothing(pair, more, is_before):
    assert modality_in(f"case_{more}{pair[0]}" if is_before else f"case_{pair[0]}{more}") is None
