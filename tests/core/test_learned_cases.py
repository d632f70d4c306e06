"""Cases are recognised by the bytes of their images, whatever they are called."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lesionlab.core.case import Case
from lesionlab.core.learned_cases import LearnedCases, Overlap, image_keys, keys_of, recognise
from lesionlab.core.split import hash_case


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Eight files, each of them twice under two names."""
    folder = tmp_path_factory.mktemp("images")
    for number in range(8):
        for copy in ("a", "b"):
            (folder / f"{copy}{number}.nii").write_bytes(bytes([number]) * 9)
    return [folder / f"a{number}.nii" for number in range(8)]


def case(name: str, *paths: Path, **parts: str) -> Case:
    return Case(id=name, images={f"m{n}": path for n, path in enumerate(paths)}, label=None, group=name, parts=parts)


@given(learned=st.lists(st.sets(st.integers(0, 7), min_size=1)), shown=st.lists(st.sets(st.integers(0, 7), min_size=1)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_case_is_recognised_by_any_image(files: list[Path], learned: list[set[int]], shown: list[set[int]]):
    known = [case(f"old{n}", *(files[number] for number in own)) for n, own in enumerate(learned)]
    copies = [case(f"new{n}", *(files[i].with_name(f"b{i}.nii") for i in own)) for n, own in enumerate(shown)]
    everything = set().union(*learned)
    expected = tuple(f"new{n}" for n, own in enumerate(shown) if own & everything)
    assert recognise(copies, keys_of(known)) == expected


def test_keys_tell_places_in_a_file_apart_but_no_channels(files: list[Path]):
    slices = [image_keys(case("a", files[0], m0=f"image/{number}")) for number in range(2)]
    assert slices[0] != slices[1]
    channels = image_keys(case("a", files[0], files[0], m0="0", m1="1"))
    assert channels == image_keys(case("b", files[0]))


def test_a_file_that_is_gone_has_no_key(tmp_path: Path):
    gone = case("a", tmp_path / "gone.nii")
    assert image_keys(gone) == ()
    assert recognise([gone], [()]) == ()


def test_what_is_said(files: list[Path]):
    cases = [case(str(number), files[number]) for number in range(4)]
    images = LearnedCases(training_images=image_keys(cases[0]), validation_images=image_keys(cases[2]))
    assert images.overlap(cases).describe(total=4) == (
        "1 of 4 cases are training cases, which the weights were fitted to: 0; "
        "1 of 4 cases are validation cases, which weights and settings were chosen by: 2"
    )
    ids = LearnedCases(training_ids=(hash_case("1"), hash_case("3")))
    assert ids.overlap(cases).describe(total=4).startswith("2 of 4 cases have the ids of training cases")
    assert LearnedCases().overlap(cases).describe(total=4) == Overlap().describe(total=4) == ""
