"""A registry makes things by name and checks their options against their signature."""

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Literal

import pytest

from lesionlab.core import registry as registry_module
from lesionlab.core.errors import NameUnknownError, OptionError
from lesionlab.core.registry import Registry, nearest_name


class Clock:
    def __init__(self, *, hands: int, face: Literal["round", "square"] = "round", gain: float = 1.0) -> None:
        self.hands, self.face, self.gain = hands, face, gain


@pytest.fixture
def clocks() -> Registry[Clock]:
    registry: Registry[Clock] = Registry("clock")
    registry("wall")(Clock)

    @registry("sundial")
    def make_sundial(folder: Path = Path("garden")) -> Clock:
        return Clock(hands=0, face="square" if folder.name == "yard" else "round")

    return registry


def test_a_thing_is_made_with_checked_options(clocks: Registry[Clock]):
    clock = clocks.build("wall", hands="2", gain=1)
    assert (clock.hands, clock.face, clock.gain) == (2, "round", 1.0)
    assert isinstance(clock.gain, float)


def test_a_function_is_as_good_as_a_class(clocks: Registry[Clock]):
    assert clocks.build("sundial", folder="yard").face == "square"


def test_defaults_are_filled(clocks: Registry[Clock]):
    assert clocks.check("wall", {"hands": 3}) == {"hands": 3, "face": "round", "gain": 1.0}


def test_names_come_in_order(clocks: Registry[Clock]):
    assert list(clocks) == ["sundial", "wall"]


def test_the_decorator_gives_the_thing_back(clocks: Registry[Clock]):
    assert clocks("alarm")(Clock) is Clock
    assert clocks.get("alarm") is Clock


@pytest.mark.parametrize(("name", "advice"), [("wal", "did you mean 'wall'?"), ("xyz", "choose one of sundial, wall")])
def test_an_unknown_name_gets_the_nearest(clocks: Registry[Clock], name: str, advice: str):
    with pytest.raises(NameUnknownError) as caught:
        clocks.build(name)
    assert caught.value.next_step == advice
    assert caught.value.where == f"clock = {name!r}"


@pytest.mark.parametrize(
    ("options", "found", "next_step"),
    [
        ({"hands": 2, "fase": "round"}, "'fase'", "did you mean 'face'?"),
        ({"hands": "many"}, '"many"', "give hands another value"),
        ({"hands": 2, "face": "oval"}, '"oval"', "give face another value"),
        ({}, "none", "give hands a value"),
    ],
)
def test_a_wrong_option_is_refused(clocks: Registry[Clock], options: dict[str, object], found: str, next_step: str):
    with pytest.raises(OptionError) as caught:
        clocks.build("wall", **options)
    assert caught.value.found == found
    assert caught.value.next_step == next_step
    assert "clock 'wall'" in caught.value.where


def test_a_name_is_given_once(clocks: Registry[Clock]):
    with pytest.raises(AssertionError, match="registered twice"):
        clocks("wall")(Clock)


def test_an_empty_registry_says_so():
    with pytest.raises(NameUnknownError, match="none are registered"):
        Registry("clock").get("wall")


def test_plug_ins_join_by_entry_point(clocks: Registry[Clock], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "clockmaker.py").write_text("import builtins\nbuiltins.clocks('cuckoo')(lambda: 'cuckoo')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("builtins.clocks", clocks, raising=False)
    point = EntryPoint(name="cuckoo", value="clockmaker", group="lesionlab.clocks")
    monkeypatch.setattr(registry_module, "entry_points", lambda group: [point] if group == point.group else [])
    assert clocks.build("cuckoo") == "cuckoo"
    assert "cuckoo" in list(clocks)


def test_nearest_name_of_nothing():
    assert nearest_name("a", []) == "choose one of (none are registered)"
