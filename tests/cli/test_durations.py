"""Lengths of time as people write them."""

import pytest

from lesionlab.cli.durations import read_seconds
from lesionlab.core.errors import OptionError


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("45m", 2700), ("12h", 43200), ("1h30m", 5400), ("1d6h", 108000)]
)
def test_a_length_of_time(text: str, seconds: float):
    assert read_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "1.5h", "-3m", "3m2h", "3", "3min", "0s"])
def test_anything_else_is_refused(text: str):
    with pytest.raises(
        OptionError, match=r"a length of time in days \(d\), hours \(h\), minutes \(m\) or seconds \(s\)"
    ):
        read_seconds(text)
