"""Public functions take paths as text, and refuse what is neither."""

import inspect
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

import lesionlab
from lesionlab.core.errors import LayoutError, LesionlabError, OptionError
from lesionlab.core.paths import takes_paths


@takes_paths
def everything(
    data: str,
    out: Path,
    *,
    more: Sequence[Path] = (),
    words: Sequence[str] = (),
    store: Path | None = None,
    weights: Path | Mapping[str, int] | None = None,
    count: int = 1,
) -> tuple[object, ...]:
    """Return what arrives."""
    return data, out, list(more), list(words), store, weights, count


def test_text_becomes_a_path_and_a_path_text():
    several = {"more": ("a", Path("b")), "words": [Path("c"), "d"]}
    arrived = everything(Path("table:clinic"), "out", **several, store="s", weights="w")
    assert arrived == ("table:clinic", Path("out"), [Path("a"), Path("b")], ["c", "d"], Path("s"), Path("w"), 1)


def test_what_is_right_already_stays():
    weights = {"a": 1}
    assert everything("d", Path("out"), weights=weights, count=2) == ("d", Path("out"), [], [], None, weights, 2)


@pytest.mark.parametrize(
    ("arguments", "options", "name"),
    [
        (({"case": 1}, "out"), {}, "data"),
        (("d", 3), {}, "out"),
        (("d", None), {}, "out"),
        (("d", "out"), {"store": 1.0}, "store"),
        (("d", "out"), {"more": "abc"}, "more"),
        (("d", "out"), {"words": "abc"}, "words"),
        (("d", "out"), {"more": [1]}, "more"),
    ],
    ids=str,
)
def test_anything_else_is_refused_by_its_name(arguments: tuple[object, ...], options: dict[str, object], name: str):
    with pytest.raises(OptionError, match=f"in argument '{name}'"):
        everything(*arguments, **options)


def test_a_missing_argument_stays_an_error_of_python():
    with pytest.raises(TypeError, match="missing a required argument: 'out'"):
        everything("d")


def is_path(annotation: object) -> bool:
    return Path in (annotation, *typing.get_args(annotation))


@pytest.mark.parametrize("name", lesionlab.__all__)
def test_every_public_function_takes_paths_as_text(name: str, tmp_path: Path):
    """Each gets as far as its own judgement of a dataset that is not there; none stumbles over text."""
    function = getattr(lesionlab, name)
    required = [one for one in inspect.signature(function).parameters.values() if one.default is one.empty]
    arguments = {one.name: str(tmp_path / one.name) for one in required if is_path(one.annotation)}
    if not arguments:
        return
    arguments |= {one.name: f"table:{tmp_path}/none" for one in required if one.name == "data"}
    arguments |= {"form": "bids"} if name == "convert" else {}
    arguments |= {"recipe": "synapse_net_wmh"} if name == "train" else {}
    arguments |= {"network": "sg_net"} if name == "import_weights" else {}
    arguments |= {"reports": ["a=b", "c=d"]} if name == "compare" else {}
    with pytest.raises(LesionlabError):
        function(**arguments)


def test_arrays_in_place_of_a_dataset_are_refused_plainly(tmp_path: Path):
    with pytest.raises(OptionError, match="found a value of type dict; in argument 'data'"):
        lesionlab.predict("run", {"case": 1}, str(tmp_path))
    with pytest.raises((OptionError, LayoutError), match="LAYOUT:FOLDER"):
        lesionlab.check("clinic")
