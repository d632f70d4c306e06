"""The content key of a case: roles and bytes count; names and places of files do not."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionlab.core.case import Case
from lesionlab.core.content_key import content_key, file_digest
from lesionlab.core.labels import Labels

NAMES = ("flair", "t1", "t1ce", "t2", "dwi", "adc")


@st.composite
def cases(draw: st.DrawFn) -> dict[str, bytes | str]:
    """Return roles of a case, each with bytes of its own, and the channels of its images."""
    modalities = draw(st.lists(st.sampled_from(NAMES), min_size=2, max_size=5, unique=True))
    masks = draw(st.lists(st.sampled_from(["label", "further", "brain"]), unique=True))
    roles = [*modalities, *masks]
    contents = draw(st.lists(st.binary(max_size=3), min_size=len(roles), max_size=len(roles), unique=True))
    parts = {name: draw(st.sampled_from(["", "0", "1"])) for name in modalities}
    return {
        "files": dict(zip(roles, contents, strict=True)),
        "parts": {name: part for name, part in parts.items() if part},
        "modalities": tuple(draw(st.permutations(modalities))),
    }


def written(folder: Path, files: dict[str, bytes], parts: dict[str, str], *, prefix: str = "") -> Case:
    paths = {}
    for role, content in files.items():
        paths[role] = folder / f"{prefix}{role}.bin"
        paths[role].parent.mkdir(parents=True, exist_ok=True)
        paths[role].write_bytes(content)
    return Case(
        id="a",
        images={name: path for name, path in paths.items() if name in NAMES},
        parts=parts,
        label=paths.get("label"),
        further_labels=tuple(path for role, path in paths.items() if role == "further"),
        brain_mask=paths.get("brain"),
        group="a",
    )


def exchanges(files: dict[str, bytes]) -> Iterator[dict[str, bytes]]:
    for one, other in combinations(files, 2):
        yield files | {one: files[other], other: files[one]}


@settings(max_examples=10)
@given(cases())
def test_every_exchange_of_two_roles_changes_the_key(drawn):
    with tempfile.TemporaryDirectory() as name:
        folder, modalities = Path(name), drawn["modalities"]
        key = written(folder / "own", drawn["files"], drawn["parts"]).content_key(modalities, settings=0)
        for number, files in enumerate(exchanges(drawn["files"])):
            other = written(folder / str(number), files, drawn["parts"])
            assert other.content_key(modalities, settings=0) != key


@settings(max_examples=10)
@given(cases())
def test_names_places_and_order_of_files_do_not_change_the_key(drawn):
    with tempfile.TemporaryDirectory() as name:
        folder, modalities = Path(name), drawn["modalities"]
        key = written(folder / "own", drawn["files"], drawn["parts"]).content_key(modalities, settings=0)
        files = dict(reversed(drawn["files"].items()))
        moved = written(folder / "moved", files, drawn["parts"], prefix="another_name_")
        assert moved.content_key(modalities, settings=0) == key


@settings(max_examples=10)
@given(cases(), st.data())
def test_channels_modalities_and_settings_change_the_key(drawn, data: st.DataObject):
    with tempfile.TemporaryDirectory() as name:
        modalities = drawn["modalities"]
        case = written(Path(name), drawn["files"], drawn["parts"])
        key = case.content_key(modalities, settings={"a": 1})
        changed = data.draw(st.sampled_from(modalities))
        assert replace(case, parts=case.parts | {changed: "2"}).content_key(modalities, settings={"a": 1}) != key
        assert case.content_key(modalities[::-1], settings={"a": 1}) != key
        assert case.content_key(modalities[1:], settings={"a": 1}) != key
        assert case.content_key(modalities, settings={"a": 2}) != key


@settings(max_examples=10)
@given(cases(), st.sampled_from(["label", "further"]))
def test_the_reference_counts_only_where_it_is_asked_for(drawn, role: str):
    with tempfile.TemporaryDirectory() as name:
        folder, modalities = Path(name), drawn["modalities"]
        files = drawn["files"] | {role: b"another mask"}
        own, other = (
            written(folder / place, content, drawn["parts"])
            for place, content in (("own", drawn["files"]), ("b", files))
        )
        keys = [case.content_key(modalities, settings=0, with_reference=False) for case in (own, other)]
        assert keys[0] == keys[1]
        assert own.content_key(modalities, settings=0) != other.content_key(modalities, settings=0)


def test_an_absent_modality_is_not_an_unreadable_one(tmp_path: Path):
    case = Case(id="a", images={"flair": tmp_path / "gone"}, label=None, group="a")
    keys = {one.content_key(["flair"], settings=0) for one in (case, replace(case, images={}))}
    assert len(keys) == 2


def test_what_a_key_is_made_of_has_an_order():
    regions = {"whole": frozenset({1, 2}), "core": frozenset({2})}
    keys = {content_key([], settings=Labels(regions=one)) for one in (regions, dict(reversed(regions.items())))}
    assert len(keys) == 2


def test_a_folder_is_its_files_wherever_they_lie_and_a_pipe_is_never_read(tmp_path: Path):
    (tmp_path / "a" / "deeper").mkdir(parents=True)
    (tmp_path / "a" / "1").write_bytes(b"1")
    (tmp_path / "a" / "deeper" / "2").write_bytes(b"2")
    before = file_digest(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    (tmp_path / "b" / "1").rename(tmp_path / "b" / "3")
    assert file_digest(tmp_path / "b") == before
    os.mkfifo(tmp_path / "a" / "pipe")
    assert file_digest(tmp_path / "a") == before
    assert file_digest(tmp_path / "a" / "pipe") is None
    (tmp_path / "a" / "deeper" / "2").write_bytes(b"3")
    assert file_digest(tmp_path / "a") != before


@pytest.mark.parametrize("name", ["scan.json", "scan_0000.json"])
def test_the_spacing_beside_a_tiff_counts(tmp_path: Path, name: str):
    tiff = tmp_path / "scan_0000.tif"
    tiff.write_bytes(b"1")
    before = file_digest(tiff)
    (tmp_path / name).write_text('{"spacing": [3, 1, 1]}')
    assert file_digest(tiff) != before


@pytest.mark.parametrize("ends", [(".hdr", ".img"), (".img", ".hdr")])
def test_both_files_of_a_pair_count(tmp_path: Path, ends: tuple[str, str]):
    named, partner = (tmp_path / f"scan{end}" for end in ends)
    named.write_bytes(b"1")
    partner.write_bytes(b"1")
    before = file_digest(named)
    partner.write_bytes(b"2")
    assert file_digest(named) != before
