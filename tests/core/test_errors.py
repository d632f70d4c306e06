"""Every error that a user can cause says four things in one plain line."""

import inspect
import pickle
from pathlib import Path

import pytest

from lesionlab.core import errors
from lesionlab.core.errors import GridError, LesionlabError

CHILDREN = [
    item
    for item in vars(errors).values()
    if inspect.isclass(item) and issubclass(item, LesionlabError) and item is not LesionlabError
]


@pytest.mark.parametrize("error", CHILDREN)
def test_an_error_is_one_plain_line(error: type[LesionlabError]):
    raised = error("a mask", found="an image", where=Path("wmh.nii.gz"), next_step="swap the two")
    assert str(raised) == "wanted a mask; found an image; in wmh.nii.gz; next: swap the two"
    assert raised.where == "wmh.nii.gz"
    assert error.__bases__ == (LesionlabError,), "the tree is one level deep"


def test_the_tree_is_drawn_whole():
    assert errors.__doc__ is not None
    drawn = [line.split()[1] for line in errors.__doc__.splitlines() if line.startswith(("├──", "└──"))]
    assert drawn == [child.__name__ for child in CHILDREN]


def test_the_family_is_caught_by_its_name():
    with pytest.raises(LesionlabError):
        raise GridError("one grid", found="two", where="here", next_step="resample")


def test_an_error_comes_back_whole_from_a_worker_process():
    error = GridError("one grid", found="two", where="here", next_step="resample")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.next_step) == (GridError, str(error), "resample")


def test_what_a_message_quotes_cannot_break_its_line():
    raised = LesionlabError("a\nname", found="\x1b[31mred\u2028", where="ü\ud800", next_step="b\r\nc\0")
    assert str(raised) == "wanted a name; found \\x1b[31mred ; in ü\\ud800; next: b c\\x00"
