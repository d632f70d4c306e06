"""A training leaves in order: on a signal or when its time is over."""

import os
import signal
import threading

import pytest
import torch
from torch import nn

from lesionlab.engine.stopping import Stop, StopWantedError


def test_time_is_over_at_once_or_never():
    assert Stop(max_time_s=-1.0).is_wanted
    assert not Stop().is_wanted


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_signal_is_noted_and_let_through_at_the_end(number: signal.Signals, kind: type[BaseException]):
    stop, before = Stop(), signal.getsignal(number)

    def work() -> None:
        with stop.listening():
            os.kill(os.getpid(), number)
            assert stop.is_wanted

    with pytest.raises(kind):
        work()
    assert signal.getsignal(number) is before


def test_a_second_ctrl_c_is_not_waited_for():
    def work() -> None:
        with Stop().listening():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            pytest.fail("the second one came too late")

    with pytest.raises(KeyboardInterrupt):
        work()


def test_a_module_that_polls_raises_only_while_it_shall():
    module, stop = nn.Identity(), Stop(max_time_s=-1.0)
    with stop.polled_by([module]), pytest.raises(StopWantedError):
        module(torch.zeros(1))
    assert module(torch.zeros(1)) == 0


def test_a_thread_does_without_signals():
    found = []

    def listen() -> None:
        with Stop().listening():
            found.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert found == [before]
