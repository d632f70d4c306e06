"""One command at a time writes into a folder, whatever became of the one before."""

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lesionlab.core.errors import FolderInUseError, StorageError
from lesionlab.core.folder_lock import HOLDER_FILE, LOCK_FILE, has_files, lock_folder

HOLD = """
import os, sys
from pathlib import Path
from lesionlab.core.folder_lock import lock_folder
with lock_folder(Path(sys.argv[1])):
    if "fork" not in sys.argv:
        print(os.getpid(), flush=True)
    elif os.fork() == 0:
        print(os.getpid(), flush=True)  # once forking is over for the worker, too
    sys.stdin.read()
"""


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without locks."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)


def hold(folder: Path, *words: str) -> tuple["subprocess.Popen[str]", str]:
    """Start a process that holds the folder until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    return process, process.stdout.readline().strip()


@pytest.fixture
def holder(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    process, _ = hold(tmp_path)
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_refused_and_told_who_writes(holder: "subprocess.Popen[str]", tmp_path: Path):
    with pytest.raises(FolderInUseError) as refused, lock_folder(tmp_path):
        pass
    assert f"process {holder.pid} on {socket.gethostname()}, since 20" in refused.value.found
    assert refused.value.where == str(tmp_path)
    holder.communicate()
    with lock_folder(tmp_path):
        pass


def test_a_killed_process_holds_nothing(holder: "subprocess.Popen[str]", tmp_path: Path):
    holder.kill()
    holder.wait()
    assert (tmp_path / LOCK_FILE).exists()
    with lock_folder(tmp_path):
        pass


def test_a_forked_worker_that_outlives_its_parent_holds_nothing(tmp_path: Path):
    process, worker = hold(tmp_path, "fork")
    try:
        process.kill()
        process.wait()
        os.kill(int(worker), 0)
        with lock_folder(tmp_path):
            pass
    finally:
        os.kill(int(worker), signal.SIGKILL)
        process.communicate()


def fail_while_held(folder: Path) -> None:
    with lock_folder(folder):
        assert not has_files(folder)
        with pytest.raises(FolderInUseError, match=f"process {os.getpid()} "), lock_folder(folder):
            pass
        raise ZeroDivisionError


def test_a_folder_is_held_once_and_free_again_after_an_error(tmp_path: Path):
    folder = tmp_path / "new" / "folder"
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            fail_while_held(folder)
        assert not folder.exists()


def test_different_folders_do_not_know_each_other(tmp_path: Path):
    with lock_folder(tmp_path), lock_folder(tmp_path / "fold0"), lock_folder(tmp_path / "fold1"):
        assert has_files(tmp_path)
        assert not has_files(tmp_path / "fold0")


@pytest.mark.usefixtures("no_locks")
def test_without_locks_a_file_names_the_holder(tmp_path: Path):
    with lock_folder(tmp_path):
        assert not has_files(tmp_path)
        with pytest.raises(FolderInUseError, match=f"process {os.getpid()} .*{HOLDER_FILE}"), lock_folder(tmp_path):
            pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_locks")
@pytest.mark.parametrize(("host", "is_free"), [(socket.gethostname(), True), ("another", False)])
def test_without_locks_only_a_dead_process_of_this_machine_is_followed(tmp_path: Path, host: str, is_free: bool):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / HOLDER_FILE).write_text(json.dumps({"host": host, "process": gone.pid, "since": "then"}))
    if is_free:
        with lock_folder(tmp_path):
            pass
    else:
        with pytest.raises(FolderInUseError, match="on another, since then"), lock_folder(tmp_path):
            pass


def test_a_place_that_cannot_be_written_is_one_plain_error(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="a folder to write into"), lock_folder(tmp_path / "file" / "out"):
        pass
