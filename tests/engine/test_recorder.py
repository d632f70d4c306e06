"""Metrics are whole lines, a killed run's surplus is dropped, and a full disk is an error, never a hang."""

import json
import os
import resource
import time
from pathlib import Path

import pytest

from lesionlab.core.errors import StorageError
from lesionlab.engine.recorder import Recorder, read_history


def steps_of(folder: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_lines_are_added_and_what_lies_beyond_is_dropped(tmp_path: Path):
    with Recorder(tmp_path, step=0) as recorder:
        for step in (1, 2, 3):
            recorder.write(step, {"loss": 0.1 * step})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')
    with Recorder(tmp_path, step=2) as recorder:
        recorder.write(3, {"loss": 7.0})
    assert steps_of(tmp_path) == [1, 2, 3]
    assert "7.0" in (tmp_path / "metrics.jsonl").read_text()


@pytest.mark.parametrize("limit_bytes", [20, 200])
def test_a_full_disk_is_an_error_and_no_hang(tmp_path: Path, limit_bytes: int):
    """20 bytes stop the line, 200 let it pass and stop TensorBoard's file."""
    child = os.fork()
    if child == 0:
        recorder = Recorder(tmp_path, step=0)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
        try:
            for step in range(3):
                recorder.write(step, {"loss": 0.25, "dice": 0.5})
        except StorageError:
            os._exit(3)
        finally:
            os._exit(4)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            assert os.waitstatus_to_exitcode(status) == 3
            return
        time.sleep(0.02)
    os.kill(child, 9)
    os.waitpid(child, 0)
    pytest.fail("it hangs")


@pytest.mark.parametrize("damage", ['{"step": 4', "[]", "null", "{}", '{"step": "x"}', "\x00"])
def test_a_damaged_line_is_refused_by_readers_and_dropped_when_training_goes_on(tmp_path: Path, damage: str):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 2, "loss": 0.5}\n' + damage + "\n")
    with pytest.raises(StorageError, match="line 2"):
        read_history(path)
    with Recorder(tmp_path, step=5):
        pass
    assert read_history(path) == [{"step": 2.0, "loss": 0.5}]
