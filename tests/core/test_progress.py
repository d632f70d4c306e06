"""Long work says how far it has come: now and then, and at its end."""

import logging
from collections.abc import Iterator

import pytest

from lesionlab.core import progress
from lesionlab.core.progress import Tracker, track


def test_items_pass_through_and_the_end_is_said(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO):
        assert list(track("abc", what="preparing", total=3)) == ["a", "b", "c"]
    assert [record.message.strip() for record in caplog.records] == ["preparing: 3 of 3"]


def test_resumed_work_counts_what_was_done(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", -1.0)
    with caplog.at_level(logging.INFO), Tracker("training", total=10, done=7) as tracker:
        tracker.advance("loss 0.5")
    assert [record.message for record in caplog.records] == ["training: 8 of 10 loss 0.5"]


def test_a_failure_of_the_work_passes_through():
    def work() -> Iterator[str]:
        yield "a"
        raise KeyError("b")

    with pytest.raises(KeyError, match="b"):
        list(track(work(), what="x", total=2))


def test_a_bar_is_drawn_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert list(track("ab", what="predicting", total=2)) == ["a", "b"]
    assert "predicting" in capsys.readouterr().err
