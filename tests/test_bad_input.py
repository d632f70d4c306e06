"""What users get wrong ends in exit code 1 and one plain line; nothing of theirs is touched, nothing half is left."""

import hashlib
import os
import resource
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from tiny_training import AFFINE, RECIPE, phantom, save, write_case, write_recipe

from lesionlab.cli.main import main
from lesionlab.engine.checkpoint import open_checkpoint
from lesionlab.workflows.train import Trained


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for number in range(3):
        write_case(tmp_path / "data" / "Site" / str(number), seed=number)
    return tmp_path / "data"


@pytest.fixture
def t1(data: Path) -> Path:
    return data / "Site" / "0" / "pre" / "T1.nii.gz"


@pytest.fixture
def mask(data: Path) -> Path:
    return data / "Site" / "0" / "wmh.nii.gz"


@pytest.fixture
def refuse(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return the function that runs a command, expects its refusal, and returns the one line of it."""

    def run(*words: object) -> str:
        before = digests(data)
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        assert ended.value.code == 1
        captured = capsys.readouterr()
        said = captured.out + captured.err
        assert "Traceback" not in said
        (line,) = {part[part.index("wanted ") :] for part in said.splitlines() if "wanted " in part}
        assert all(mark in line for mark in ("; found ", "; in ", "; next: "))
        assert digests(data) == before
        assert not list(tmp_path.glob("**/*.part"))
        return line

    return run


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def shifted(path: Path) -> None:
    affine = AFFINE.copy()
    affine[1, 3] += 5
    save(path, phantom(0)[1], affine)


def with_nan(path: Path) -> None:
    array = phantom(0)[1]
    array[4, 4, 2] = np.nan
    save(path, array)


def cut_in_half(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def with_a_flipped_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def with_four_axes(path: Path) -> None:
    save(path, np.stack([phantom(0)[1]] * 2, axis=-1))


def with_another_shape(path: Path) -> None:
    save(path, nibabel.load(path).get_fdata()[:-1].astype(np.float32))


def no_image(path: Path) -> None:
    path.write_text("this is a letter, no image")


@pytest.mark.parametrize(
    ("harm", "found"),
    [
        (shifted, "one shape but voxels up to 5 mm apart"),
        (with_nan, "1 NaN or infinite voxels"),
        (cut_in_half, "a damaged one"),
        (with_a_flipped_bit, "a damaged one"),
        (with_four_axes, "4 dimensions (30, 36, 5, 2)"),
        (with_another_shape, "shapes (30, 36, 5) and (29, 36, 5)"),
        (no_image, ""),
    ],
)
def test_a_bad_scan(
    refuse: Callable[..., str], trained: Trained, data: Path, t1: Path, tmp_path: Path,
    harm: Callable[[Path], None], found: str,
):  # fmt: skip
    harm(t1)
    line = refuse("predict", trained.folder, f"wmh2017:{data}", tmp_path / "out")
    assert found in line
    assert str(t1) in line
    masks = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert masks == ["Site_1_mask.nii.gz", "Site_2_mask.nii.gz", "made_by.json", "predictions.json"]


def test_a_missing_modality(refuse: Callable[..., str], trained: Trained, data: Path, t1: Path, tmp_path: Path):
    t1.unlink()
    line = refuse("predict", trained.folder, f"wmh2017:{data}", tmp_path / "out")
    assert "modality 't1' for case 'Site_0'" in line
    assert not (tmp_path / "out").exists()


def with_unknown_values(path: Path) -> None:
    save(path, phantom(0)[2] * np.uint8(7))


@pytest.mark.parametrize(
    ("harm", "found"), [(with_another_shape, "(29, 36, 5)"), (with_unknown_values, "also [7]"), (with_nan, "NaN")]
)
def test_a_bad_mask(
    refuse: Callable[..., str], tiny_recipe: str, data: Path, mask: Path, tmp_path: Path,
    harm: Callable[[Path], None], found: str,
):  # fmt: skip
    harm(mask)
    line = refuse("train", tiny_recipe, f"wmh2017:{data}", tmp_path / "out", "--store", tmp_path / "store")
    assert found in line
    assert str(mask) in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("verb", ["train", "predict"])
def test_an_empty_folder(refuse: Callable[..., str], trained: Trained, tiny_recipe: str, tmp_path: Path, verb: str):
    (tmp_path / "empty").mkdir()
    first = tiny_recipe if verb == "train" else trained.folder
    line = refuse(verb, first, f"wmh2017:{tmp_path / 'empty'}", tmp_path / "out")
    assert "found an empty folder" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("data_words", "next_step"),
    [("wmh2018:.", "did you mean 'wmh2017'?"), ("/data", "put the layout's name"), ("wmh2017:/none", "check the path")],
)
def test_a_dataset_that_is_none(
    refuse: Callable[..., str], tiny_recipe: str, tmp_path: Path, data_words: str, next_step: str
):
    assert next_step in refuse("train", tiny_recipe, data_words, tmp_path / "out")


@pytest.mark.parametrize(
    ("wrong", "next_step"),
    [
        (("batch = 4", "bach = 4"), "did you mean 'batch'?"),
        (("[sampling]", "[samplign]"), "did you mean 'sampling'?"),
        (("heads = 2", "haeds = 2"), "did you mean 'heads'?"),
        (('"synapse_net_binary"', '"synapse_net_binry"'), "did you mean 'synapse_net_binary'?"),
        (("batch = 4", "batch = 0"), "--change training.batch=VALUE"),
        (("batch = 4", "batch = "), "correct that line"),
        (("steps = 6", "steps = 6\nepochs = 3"), "drop one of the two"),
        (("size = [32, 32]", "size = [32, 0]"), "sampling.size"),
    ],
)
def test_a_misspelt_recipe(
    refuse: Callable[..., str], data: Path, tmp_path: Path, wrong: tuple[str, str], next_step: str
):
    assert RECIPE.count(wrong[0]) == 1
    recipe = write_recipe(tmp_path / "wrong.toml", RECIPE.replace(*wrong))
    assert next_step in refuse("train", recipe, f"wmh2017:{data}", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_recipe(refuse: Callable[..., str], data: Path, tmp_path: Path):
    line = refuse("train", "synapse_net_wnh", f"wmh2017:{data}", tmp_path / "out")
    assert "did you mean 'synapse_net_wmh'?" in line


def test_a_change_without_value(refuse: Callable[..., str], tiny_recipe: str, data: Path, tmp_path: Path):
    line = refuse("train", tiny_recipe, f"wmh2017:{data}", tmp_path / "out", "--change", "training.steps")
    assert "key.subkey=value" in line


def test_a_checkpoint_for_another_number_of_modalities(
    refuse: Callable[..., str], trained: Trained, data: Path, tmp_path: Path
):
    folder = Path(shutil.copytree(trained.folder / "best", tmp_path / "three"))
    plan = open_checkpoint(folder).plan
    recipe = plan.recipe.model_copy(update={"modalities": ("flair", "t1", "dwi")})
    (folder / "plan.json").write_text(plan.model_copy(update={"recipe": recipe}).model_dump_json())
    line = refuse("predict", folder, f"wmh2017:{data}", tmp_path / "out")
    assert "wanted the 3 modalities flair, t1, dwi that this checkpoint was trained with; found flair, t1" in line
    assert not (tmp_path / "out").exists()


def test_no_checkpoint(refuse: Callable[..., str], data: Path, tmp_path: Path):
    assert "give the folder that lesionlab train wrote" in refuse("predict", data, f"wmh2017:{data}", tmp_path / "out")
    assert "give the folder" in refuse("tune", tmp_path / "none", f"wmh2017:{data}")


def test_an_impossible_option(refuse: Callable[..., str], trained: Trained, data: Path, tmp_path: Path):
    line = refuse("predict", trained.folder, f"wmh2017:{data}", tmp_path / "out", "--overlap", "1.5")
    assert "a possible --overlap; found 1.5" in line


def run_on_a_full_disk(words: list[str], *, limit_bytes: int) -> tuple[int, str]:
    """Run a command in a copy of this process that may write files of `limit_bytes` at most."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            sys.stdout = sys.stderr = os.fdopen(writer, "w")
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
            main(words)
        except SystemExit as ended:
            sys.stdout.flush()
            os._exit(int(ended.code or 0))
        finally:
            os._exit(99)
    os.close(writer)
    with os.fdopen(reader) as stream:
        said = stream.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), said


def test_a_full_disk_while_predicting(trained: Trained, data: Path, tmp_path: Path):
    out = tmp_path / "out"
    words = ["predict", str(trained.folder), f"wmh2017:{data}", str(out)]
    code, said = run_on_a_full_disk(words, limit_bytes=300)
    assert code == 1
    assert "Traceback" not in said
    assert said.count("wanted to write a file whole; found File too large") == 1, "found before the first case"
    assert not out.exists()


@pytest.mark.parametrize("limit_bytes", [100, 8000])
def test_a_full_disk_while_training(
    cohort: Path, tiny_recipe: str, shared_store: Path, trained: Trained, tmp_path: Path, limit_bytes: int
):
    """First the plan cannot be written, then the weights."""
    data, out = f"wmh2017:{cohort}", tmp_path / "out"
    words = ["train", tiny_recipe, data, str(out), "--store", str(shared_store), "--change", "training.steps=1"]
    code, said = run_on_a_full_disk(words, limit_bytes=limit_bytes)
    assert code == 1
    assert "Traceback" not in said
    assert said.count("File too large") == 1
    assert not (out / "best").exists()
    assert not list(out.rglob("*.part"))
    assert not list(out.glob(".*"))
