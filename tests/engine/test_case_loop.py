"""The loop over cases: what fails fails alone and leaves nothing, and finished work is not done again."""

import errno
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionlab.core.case import Case
from lesionlab.core.errors import ImageError, StorageError
from lesionlab.engine.case_loop import work_through_cases
from lesionlab.engine.finished_work import FinishedWork

ERRORS = (
    ImageError("an image", found="none", where="here", next_step="repair it"),
    KeyError("flair"),
    RuntimeError("CUDA out of memory.\nTried to allocate 3 GiB"),
    MemoryError(),
    ZeroDivisionError("division by zero"),
    OSError(errno.EIO, "Input/output error"),
)


def cases_of(count: int) -> list[Case]:
    return [Case(id=f"case{number}", images={}, label=None, group="") for number in range(count)]


def run(folder: Path, keys: list[str], *, failing: dict[int, BaseException], done: list[str]) -> dict[str, str]:
    """Write a mask and a map per case, and note whose work was done; what fails does so between the two."""
    cases = cases_of(len(keys))

    def files_of(case: Case) -> list[Path]:
        return [folder / f"{case.id}_mask", folder / f"{case.id}_map"]

    def work(case: Case) -> list[Path]:
        done.append(case.id)
        number = int(case.id.removeprefix("case"))
        mask, other = files_of(case)
        mask.write_text(keys[number])
        if number in failing:
            raise failing[number]
        other.write_text(keys[number])
        return [mask, other]

    return work_through_cases(
        cases,
        what="testing",
        record=FinishedWork(folder / "record.json"),
        key=lambda case: keys[int(case.id.removeprefix("case"))],
        work=work,
        files_of=files_of,
    )


@settings(max_examples=12)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("ab"), st.sampled_from((None, *ERRORS))), max_size=3),
    st.booleans(),
)
def test_no_case_keeps_what_an_earlier_run_made_of_other_content(steps, is_record_damaged: bool):
    with tempfile.TemporaryDirectory() as name:
        folder, done = Path(name), []
        run(folder, [first for first, _, _ in steps], failing={}, done=[])
        if is_record_damaged:
            (folder / "record.json").write_text("{")
        failing = {number: error for number, (_, _, error) in enumerate(steps) if error is not None}
        failures = run(folder, [second for _, second, _ in steps], failing=failing, done=done)
        for number, (first, second, error) in enumerate(steps):
            files = [folder / f"case{number}_mask", folder / f"case{number}_map"]
            is_done_again = first != second or is_record_damaged
            assert (f"case{number}" in done) == is_done_again
            assert (f"case{number}" in failures) == (is_done_again and error is not None)
            contents = [file.read_text() for file in files if file.exists()]
            assert contents == ([] if f"case{number}" in failures else [second, second])


@pytest.mark.parametrize("error", ERRORS)
def test_a_reason_is_one_line(tmp_path: Path, error: Exception):
    failures = run(tmp_path, ["a"], failing={0: error}, done=[])
    assert "\n" not in failures["case0"]
    assert type(error).__name__ in failures["case0"] or str(error) == failures["case0"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)])
def test_an_interruption_ends_the_loop_and_leaves_nothing_half(tmp_path: Path, error: BaseException):
    done: list[str] = []
    with pytest.raises(type(error)):
        run(tmp_path, ["a", "a", "a"], failing={1: error}, done=done)
    assert done == ["case0", "case1"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["case0_map", "case0_mask", "record.json"]
    done.clear()
    assert run(tmp_path, ["a", "a", "a"], failing={}, done=done) == {}
    assert done == ["case1", "case2"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize(
    "error",
    [
        lambda number: OSError(number, "No space left on device"),
        lambda _: StorageError("room", found="none", where="there", next_step="free some"),
    ],
)
def test_a_full_disk_ends_the_loop(tmp_path: Path, number: int, error: Callable[[int], Exception]):
    done: list[str] = []
    with pytest.raises(StorageError):
        run(tmp_path, ["a", "a"], failing={0: error(number)}, done=done)
    assert done == ["case0"]


def test_cases_that_left_the_dataset_keep_their_files(tmp_path: Path):
    run(tmp_path, ["a", "a"], failing={}, done=[])
    run(tmp_path, ["b"], failing={}, done=[])
    assert (tmp_path / "case1_mask").read_text() == "a"
    assert FinishedWork(tmp_path / "record.json").cases == ("case1", "case0")
