"""Lengths of time as people write them."""

import pytest

from lesionlab.cli.durations import read_seconds
from lesionlab.core.errors import OptionError


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("45m", 2700), ("12h", 43200), ("1h30m", 5400), ("1d6h", 108000)]
)
def test_a_length_of_time(text: str, seconds: float):
    assert read_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "1.5h", "-3m", "3m2h"])
def test_anything_else_is_refused(text: str):
    with pytest.raises(OptionError, match="a length of time"):
        read_seconds(text)
