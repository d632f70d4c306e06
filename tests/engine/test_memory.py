"""How much memory a batch takes."""

import logging

import pytest
import torch
from test_descent import Scale, Squares, batch

from lesionlab.engine.memory import activation_bytes, choose_parts, free_bytes, used_gib

CPU = torch.device("cpu")


def test_what_is_kept_grows_with_the_batch_and_weights_do_not_count():
    one, two = (activation_bytes(Scale(), Squares(), sample=batch(size)) for size in (1, 2))
    assert 1 * 2 * 5 * 5 * 4 <= one < 2000
    assert two == pytest.approx(2 * one, abs=100), "some numbers are one per batch"


def test_a_batch_that_fits_stays_whole(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO):
        parts = choose_parts(Scale(), Squares(), sample=batch(1), batch=8, device=CPU, at_least=1)
    assert parts == 1
    assert "memory: about 0.00 GiB for 8 of 8 samples at a time" in caplog.text


@pytest.mark.parametrize(("at_least", "samples", "parts"), [(3, 100, 3), (1, 2.6, 4), (1, 0.3, 8)])
def test_a_batch_is_divided_as_asked_for_or_as_memory_allows(
    monkeypatch: pytest.MonkeyPatch, at_least: int, samples: float, parts: int
):
    """Of eight: where 2.6 samples fit, two go through at a time; where none fits, still one."""
    needed = activation_bytes(Scale(), Squares(), sample=batch(1))
    monkeypatch.setattr("lesionlab.engine.memory.free_bytes", lambda _: int(needed * samples / 0.8))
    found = choose_parts(Scale(), Squares(), sample=batch(1), batch=8, device=CPU, at_least=at_least)
    assert found == parts


def test_this_machine_has_memory():
    assert 0 < used_gib(CPU) < 1000
    assert free_bytes(CPU) > 2**20
