"""Checkpoints come back whole or are refused; no kill and no full disk harms the one that is there."""

import io
import itertools
import json
import os
import pickle
import random
import resource
import shutil
import signal
import struct
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lesionlab.core.errors import CheckpointError, LesionlabError, StorageError
from lesionlab.core.plan import Plan
from lesionlab.core.postprocessing import Postprocessing
from lesionlab.engine.checkpoint import (
    build_planned_network,
    open_checkpoint,
    recover,
    save_checkpoint,
    save_postprocessing,
)
from lesionlab.workflows.train import Trained

FILES = ["plan.json", "postprocessing.json", "provenance.json", "training.safetensors", "weights.safetensors"]


@pytest.fixture(scope="module")
def plan(trained: Trained) -> Plan:
    return open_checkpoint(trained.folder).plan


@pytest.fixture
def folder(trained: Trained, tmp_path: Path) -> Path:
    """A copy of a trained checkpoint that may be damaged."""
    return Path(shutil.copytree(trained.folder / "last", tmp_path / "run" / "best"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def weights_of(plan: Plan, value: float) -> dict[str, torch.Tensor]:
    return {name: torch.full_like(part, value) for name, part in build_planned_network(plan).state_dict().items()}


def save(folder: Path, plan: Plan, step: int) -> None:
    state = {"0.exp_avg": torch.full((1000,), float(step))}
    save_checkpoint(folder, weights_of(plan, step), plan=plan, training_state=state, progress={"step": step})


def test_round_trip(tmp_path: Path, plan: Plan):
    torch.manual_seed(0)
    weights = build_planned_network(plan).state_dict()
    state = {"0.step": torch.tensor(3.0), "0.exp_avg": torch.randn(4, 5).T}
    save_checkpoint(tmp_path / "best", weights, plan=plan, training_state=state, progress={"step": 3, "best": 0.1})
    opened = open_checkpoint(tmp_path / "best")
    assert opened.plan.model_dump(mode="json") == plan.model_dump(mode="json")
    assert opened.postprocessing == Postprocessing()
    network = opened.load_network()
    assert not network.training
    assert all(torch.equal(part, weights[name]) for name, part in network.state_dict().items())
    tensors, numbers = opened.load_training_state()
    assert {name: part.tolist() for name, part in tensors.items()} == {name: p.tolist() for name, p in state.items()}
    assert numbers == {"step": 3, "best": 0.1}
    assert opened.provenance["versions"]["torch"] == torch.__version__
    assert sorted(contents(tmp_path)) == [f"best/{name}" for name in FILES]


def test_a_training_s_folder_means_its_best(trained: Trained):
    assert open_checkpoint(trained.folder).folder == trained.folder / "best"
    assert not (trained.folder / "best" / "training.safetensors").exists()


def test_an_empty_training_state_is_one(tmp_path: Path, plan: Plan):
    """Where no step was finite the optimiser has no state yet, and training goes on all the same."""
    save_checkpoint(tmp_path / "last", weights_of(plan, 0), plan=plan, training_state={}, progress={"step": 2})
    assert open_checkpoint(tmp_path / "last").load_training_state() == ({}, {"step": 2})


def test_a_checkpoint_to_predict_with_cannot_be_trained_on(trained: Trained):
    with pytest.raises(CheckpointError, match=r"training\.safetensors"):
        open_checkpoint(trained.folder / "best").load_training_state()


def test_nothing_there(tmp_path: Path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(CheckpointError, match="give the folder that lesionlab train wrote"):
            open_checkpoint(path)


def test_a_training_without_a_validation_yet(trained: Trained, tmp_path: Path):
    shutil.copytree(trained.folder / "last", tmp_path / "run" / "last")
    with pytest.raises(
        CheckpointError, match=r"no validation has been done yet; .*go on with the training, or give .*last"
    ):
        open_checkpoint(tmp_path / "run")


def load_all(folder: Path) -> None:
    opened = open_checkpoint(folder)
    opened.load_network()
    opened.load_training_state()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def remove(path: Path) -> None:
    path.unlink()


def other_bytes(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 20)


def lying_header(path: Path) -> None:
    header = {"weight": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(64))


def endless_header(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 2**62) + bytes(64))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", [cut, empty, remove, other_bytes])
def test_a_damaged_file_is_refused(folder: Path, name: str, damage: Callable[[Path], None]):
    damage(folder / name)
    with pytest.raises(CheckpointError) as caught:
        load_all(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", [lying_header, endless_header])
def test_a_lying_header_is_refused_at_once(folder: Path, damage: Callable[[Path], None]):
    damage(folder / "weights.safetensors")
    started = time.process_time()
    with pytest.raises(CheckpointError, match=r"weights\.safetensors"):
        open_checkpoint(folder).load_network()
    assert time.process_time() - started < 1


def test_weights_of_another_network_are_refused(folder: Path, tmp_path: Path, plan: Plan):
    weights = weights_of(plan, 0)
    weights["stranger"] = weights.pop(next(iter(weights)))
    save_checkpoint(tmp_path / "other", weights, plan=plan, training_state=None, progress={})
    shutil.copy(tmp_path / "other" / "weights.safetensors", folder / "weights.safetensors")
    with pytest.raises(CheckpointError, match="stranger"):
        open_checkpoint(folder).load_network()


@pytest.mark.parametrize(("key", "value"), [("version", 99), ("stranger", 1), ("regions", None)])
def test_a_plan_of_another_version_is_refused(folder: Path, key: str, value: object):
    content = json.loads((folder / "plan.json").read_text()) | {key: value}
    (folder / "plan.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=f"found {key}: .*use the lesionlab version that trained"):
        open_checkpoint(folder)


@pytest.mark.parametrize("content", ["[]", "{}", '{"training": 3}', "null"])
def test_provenance_without_progress_is_refused(folder: Path, content: str):
    (folder / "provenance.json").write_text(content)
    with pytest.raises(CheckpointError, match="provenance"):
        open_checkpoint(folder)


class Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.mkdir, (str(self.path),)


def as_pickle(canary: Canary) -> bytes:
    return pickle.dumps(canary)


def as_torch(canary: Canary) -> bytes:
    buffer = io.BytesIO()
    torch.save({"weight": canary}, buffer)
    return buffer.getvalue()


def as_torch_of_old(canary: Canary) -> bytes:
    buffer = io.BytesIO()
    torch.save(canary, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("pack", [as_pickle, as_torch, as_torch_of_old])
def test_a_pickle_in_any_place_is_never_run(folder: Path, tmp_path: Path, name: str, pack: Callable[[Canary], bytes]):
    (folder / name).write_bytes(pack(Canary(tmp_path / "canary")))
    with pytest.raises(CheckpointError):
        load_all(folder)
    assert not (tmp_path / "canary").exists()


def test_opening_in_the_middle_of_an_exchange_reads_the_old_one_and_touches_nothing(folder: Path):
    """A training may be about to put the new checkpoint in its place."""
    shutil.copytree(folder, folder.parent / ".best.new")
    folder.rename(folder.parent / ".best.old")
    before = contents(folder.parent)
    for place in (folder, folder.parent):
        open_checkpoint(place).load_network()
    assert contents(folder.parent) == before
    recover(folder)
    assert sorted(contents(folder.parent)) == [f"best/{name}" for name in FILES]


def test_a_new_checkpoint_forgets_the_earlier_one_s_tuning(tmp_path: Path, plan: Plan):
    save(tmp_path / "best", plan, 1)
    save_postprocessing(open_checkpoint(tmp_path), Postprocessing(threshold=0.3))
    assert open_checkpoint(tmp_path).postprocessing.threshold == 0.3
    save(tmp_path / "best", plan, 2)
    assert open_checkpoint(tmp_path).postprocessing == Postprocessing()


def forked(work: Callable[[], None]) -> int:
    """Start `work` in a copy of this process and return its id; the copy never comes back here."""
    child = os.fork()
    if child:
        return child
    try:
        work()
    except LesionlabError:
        os._exit(3)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(4)


def kill_saves(tmp_path: Path, plan: Plan, *, kills: int, within_writing: int) -> int:
    """Kill a loop that only saves until enough kills fell into the writing, look at what is left; return the step."""
    folder, randomness = tmp_path / "last", random.Random(0)
    save(folder, plan, 0)
    started = time.monotonic()
    save(folder, plan, 0)
    one_save_s = time.monotonic() - started
    template = weights_of(plan, 0)

    def save_on_and_on() -> None:
        for step in itertools.count(step_before + 1):
            weights = {name: torch.full_like(part, step) for name, part in template.items()}
            state = {"0.exp_avg": torch.full((1000,), float(step))}
            save_checkpoint(folder, weights, plan=plan, training_state=state, progress={"step": step})

    in_between = 0
    for done in itertools.count():
        if done >= kills and in_between >= within_writing:
            break
        assert done < 10 * kills, f"only {in_between} of {done} kills fell into the writing"
        step_before = open_checkpoint(folder).provenance["training"]["step"]
        child = forked(save_on_and_on)
        time.sleep(randomness.uniform(0.1, 4) * one_save_s)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        in_between += len(list(tmp_path.iterdir())) > 1
        opened = open_checkpoint(folder)
        step = opened.provenance["training"]["step"]
        assert all((part == step).all() for part in opened.load_network().state_dict().values())
        assert opened.load_training_state()[0]["0.exp_avg"][0] == step
        recover(folder)
        assert sorted(contents(tmp_path)) == [f"last/{name}" for name in FILES]
    return step


def test_kills_leave_a_whole_checkpoint(tmp_path: Path, plan: Plan):
    kill_saves(tmp_path, plan, kills=4, within_writing=0)


@pytest.mark.slow
def test_50_kills_leave_a_whole_checkpoint(tmp_path: Path, plan: Plan):
    step = kill_saves(tmp_path, plan, kills=50, within_writing=15)
    assert step > 5


@pytest.mark.parametrize("limit_bytes", [0, 500, 5000, 20_000])
def test_a_full_disk_leaves_the_earlier_checkpoint(tmp_path: Path, plan: Plan, limit_bytes: int):
    save(tmp_path / "last", plan, 1)
    before = contents(tmp_path)

    def save_on_a_full_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
        save(tmp_path / "last", plan, 2)

    _, status = os.waitpid(forked(save_on_a_full_disk), 0)
    assert os.waitstatus_to_exitcode(status) == 3
    assert contents(tmp_path) == before


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path, plan: Plan):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        save(tmp_path / "file" / "last", plan, 1)


def test_missing_modalities_are_named(trained: Trained):
    with pytest.raises(CheckpointError, match=r"2 modalities flair, t1 .*found flair, dwi; in my data"):
        open_checkpoint(trained.folder).check_modalities(["flair", "dwi"], where="my data")
