"""Several at once: in order, never more than allowed, and over when one fails."""

import threading

import pytest

from lesionlab.core.errors import ImageError
from lesionlab.core.progress import Tracker
from lesionlab.engine.cases_at_once import how_many_at_once, work_through


def tracker(total: int) -> Tracker:
    return Tracker("testing", total=total)


def test_results_come_in_order_and_work_goes_on_side_by_side():
    """Every piece waits until three are under way, which a single thread would never reach."""
    barrier = threading.Barrier(3, timeout=10)

    def work(number: int) -> int:
        barrier.wait()
        return number**2

    assert work_through(range(9), work, at_once=3, tracker=tracker(9)) == tuple(number**2 for number in range(9))


def test_no_more_than_allowed_are_under_way():
    lock, running, most = threading.Lock(), [0], [0]

    def work(_: int) -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        sum(range(20_000))
        with lock:
            running[0] -= 1

    work_through(range(50), work, at_once=2, tracker=tracker(50))
    assert 1 <= most[0] <= 2


def test_the_first_error_is_raised_and_what_was_not_begun_is_dropped():
    begun = []

    def work(number: int) -> None:
        begun.append(number)
        raise ImageError("a sound image", found="none", where=f"case {number}", next_step="repair it")

    with pytest.raises(ImageError, match="case 0"):
        work_through(range(500), work, at_once=2, tracker=tracker(500))
    assert len(begun) < 500


def test_nothing_to_do_is_nothing_done():
    assert work_through([], str, at_once=2, tracker=tracker(0)) == ()


@pytest.mark.parametrize(("gib_each", "expected"), [(1e-6, 6), (2.0, 4), (7.0, 1), (100.0, 1)])
def test_memory_and_cores_bound_the_number(monkeypatch: pytest.MonkeyPatch, gib_each: float, expected: int):
    """Of 10 GiB, eight may be used; there are six cores."""
    monkeypatch.setattr("lesionlab.engine.cases_at_once.free_bytes", lambda _: 10 * 2**30)
    monkeypatch.setattr("lesionlab.engine.cases_at_once._cores", lambda: 6)
    assert how_many_at_once(int(gib_each * 2**30)) == expected


def test_this_machine_can_do_one():
    assert how_many_at_once(1) >= 1
