"""Pre-training through the command line: it learns, goes on exactly, and hands its encoder over."""

import csv
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_training import save

from lesionlab.cli.main import main
from lesionlab.core.errors import LesionlabError
from lesionlab.core.pretraining import read_pretraining_recipe
from lesionlab.engine.checkpoint import open_pretraining
from lesionlab.engine.images import read_image
from lesionlab.workflows.embed import embed
from lesionlab.workflows.pretrain import Pretrained, pretrain

SHAPE, SPACING_MM = (36, 44, 36), 4.5
RECIPE = """
name = "tiny"
task = "pretrain"
modalities = ["t1"]
size = [64, 32, 32]
[preprocessing]
straighten = true
spacing_mm = [4.5, 6.5, 6.5]
[network]
name = "saca_swin"
options = { width = 3, heads = [1, 1, 2, 2], window = 3, symmetry_heads = 2 }
[objectives.rotation]
[objectives.contrast]
options = { features = 16 }
[objectives.inpainting]
[objectives.symmetry]
weight = 0.5
options = { features = 16 }
[schedule]
steps = 4
batch = 2
validate_every = 2
learning_rate = 2e-3
precision = "float32"
"""
SEGMENTATION = """
name = "after"
modalities = ["t1"]
[network]
name = "saca_swin"
options = { width = 3, heads = [1, 1, 2, 2], window = 3, symmetry_heads = 2 }
[loss]
name = "dice"
[sampling]
size = [64, 32, 32]
[augmentation]
name = "flips_and_intensity"
[training]
steps = 1
batch = 1
precision = "float32"
"""


def head(*, seed: int, has_lesion: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return T1, mask and affine of two like halves, perhaps with a lesion on one side."""
    generator = np.random.default_rng(seed)
    affine = np.diag([SPACING_MM] * 3 + [1.0])
    affine[:3, 3] = -(np.array(SHAPE) - 1) / 2 * SPACING_MM
    x, y, z = (np.moveaxis(np.indices(SHAPE), 0, -1) @ affine[:3, :3].T + affine[:3, 3]).transpose(3, 0, 1, 2)
    x = np.abs(x + generator.uniform(-4, 4))
    image = np.where((x / 66) ** 2 + (y / 84) ** 2 + (z / 68) ** 2 < 1, 100.0, 0.0)
    for centre, radii, value in (
        ((12, 5, 8), (8, 28, 12), 30),
        ((26, 12, 0), (10, 18, 14), 130),
        ((38, -50, -20), (20, 22, 16), 70),
    ):
        parts = zip((x, y, z), centre, radii, strict=True)
        image[sum(((axis - at) / radius) ** 2 for axis, at, radius in parts) < 1] = value
    mask = np.zeros(SHAPE, np.uint8)
    if has_lesion:
        mask[22:27, 20:28, 18:24] = 1
    image = image + 90 * mask + generator.normal(0, 2, SHAPE)
    return image.astype(np.float32), mask, affine


@pytest.fixture(scope="session")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two healthy and two patients, in the layout table."""
    folder = tmp_path_factory.mktemp("heads")
    rows = []
    for number in range(4):
        image, mask, affine = head(seed=number, has_lesion=number % 2 == 1)
        save(folder / f"{number}_t1.nii.gz", image, affine)
        save(folder / f"{number}_mask.nii.gz", mask, affine)
        category = "patient" if number % 2 else "healthy"
        rows.append((f"h{number}", f"h{number}", category, f"{number}_t1.nii.gz", f"{number}_mask.nii.gz"))
    with (folder / "cases.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("id", "group", "category", "t1", "label"), *rows])
    return folder


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("recipes") / "tiny.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return str(path)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prepared")


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory: pytest.TempPathFactory, heads: Path, recipe: str, prepared: Path) -> Pretrained:
    return pretrain(recipe, f"table:{heads}", tmp_path_factory.mktemp("pretrained"), store=prepared)


@pytest.mark.slow
def test_it_writes_down_every_objective(pretrained: Pretrained):
    assert pretrained.is_finished
    lines = [json.loads(line) for line in (pretrained.folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4]
    wanted = {
        "loss",
        "validation_loss",
        *(f"loss_{name}" for name in ("rotation", "contrast", "inpainting", "symmetry")),
    }
    assert all(wanted <= set(line) for line in lines)


@pytest.mark.slow
def test_it_goes_on_exactly(pretrained: Pretrained, heads: Path, recipe: str, prepared: Path, tmp_path: Path):
    data = f"table:{heads}"
    assert not pretrain(recipe, data, tmp_path, store=prepared, stop_after=1).is_finished
    pretrain(recipe, data, tmp_path, store=prepared, stop_after=3)
    assert pretrain(recipe, data, tmp_path, store=prepared, workers=1).is_finished
    one, other = (load_file(folder / "last" / "weights.safetensors") for folder in (pretrained.folder, tmp_path))
    assert all(torch.equal(one[name], other[name]) for name in one)


ON_TWO_DEVICES = """
import dataclasses, json, os, sys
import lightning_fabric.fabric as fabric
from pathlib import Path
from lesionlab.workflows.pretrain import pretrain

move = fabric.convert_to_tensors
fabric.convert_to_tensors = lambda data, device: move(data, device).clone()
recipe, data, out, store, steps = sys.argv[1:]
done = pretrain(recipe, data, Path(out), changes=["schedule.steps=" + steps], store=Path(store))
Path(out, os.environ["RANK"] + ".json").write_text(json.dumps(dataclasses.asdict(done) | {"folder": ""}))
"""


@pytest.mark.slow
def test_two_processes_pretrain_together_and_end_together(heads: Path, recipe: str, prepared: Path, tmp_path: Path):
    """What is moved to a device is a copy, as on GPUs; the second training is ended by a signal to one of them."""
    (tmp_path / "pretrain.py").write_text(ON_TWO_DEVICES)

    def start(out: str, *, steps: int) -> subprocess.Popen[str]:
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        words = [recipe, f"table:{heads}", str(tmp_path / out), str(prepared), str(steps)]
        return subprocess.Popen(
            [*torchrun, str(tmp_path / "pretrain.py"), *words],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    with start("whole", steps=4) as whole:
        _, said = whole.communicate(timeout=300)
    assert whole.returncode == 0, said[-2000:]
    first, second = (json.loads((tmp_path / "whole" / f"{rank}.json").read_text()) for rank in (0, 1))
    assert first == second
    assert first["is_finished"]
    with start("stopped", steps=4000) as stopped:
        while not (tmp_path / "stopped" / "last").exists():
            assert stopped.poll() is None, "it ended before it could be stopped"
            time.sleep(0.05)
        ranks = Path(f"/proc/{stopped.pid}/task/{stopped.pid}/children").read_text().split()
        os.kill(int(ranks[1]), signal.SIGTERM)
        stopped.communicate(timeout=300)
    assert open_pretraining(tmp_path / "stopped" / "last").progress["step"] >= 2
    assert not [rank for rank in ranks if Path(f"/proc/{rank}").exists()]


@pytest.mark.slow
def test_the_encoder_is_handed_over(
    pretrained: Pretrained, heads: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "after.toml").write_text(SEGMENTATION, encoding="utf-8")
    words = ["train", str(tmp_path / "after.toml"), f"table:{heads}", str(tmp_path / "out")]
    weights = pretrained.folder / "best" / "weights.safetensors"
    with caplog.at_level(logging.INFO), pytest.raises(SystemExit) as ended:
        main([*words, "--start-from", f"own:{weights}"])
    assert ended.value.code == 0
    assert "starting from own" in caplog.text
    found = load_file(tmp_path / "out" / "last" / "weights.safetensors")
    shared = set(found) & set(load_file(weights))
    assert {name for name in found if name.startswith(("encoder.", "symmetry."))} <= shared


@pytest.mark.slow
def test_embedding(pretrained: Pretrained, heads: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """The map lies on the scan's grid and finds the lesion; patients' sides differ more than those of the healthy."""
    with pytest.raises(SystemExit) as ended:
        main(["embed", f"table:{heads}", str(tmp_path), "--checkpoint", str(pretrained.folder)])
    assert ended.value.code == 0
    assert "symmetry.csv" in capsys.readouterr().out
    with (tmp_path / "symmetry.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    unlike = {row["case"]: float(row["asymmetry"]) for row in rows}
    assert min(unlike["h1"], unlike["h3"]) > max(unlike["h0"], unlike["h2"])
    assert all(-1 <= float(row["similarity"]) <= 1 for row in rows)
    vectors = np.load(tmp_path / "vectors.npz")
    assert vectors["own"].shape == vectors["mirrored"].shape == (4, 16)
    found, scan = read_image(tmp_path / "h1_asymmetry.nii.gz"), read_image(heads / "1_t1.nii.gz")
    lesion = read_image(heads / "1_mask.nii.gz").array > 0
    assert found.grid.distance_mm(scan.grid) < 1e-3
    assert np.median(found.array[lesion]) > 3 * np.percentile(np.abs(found.array[~lesion]), 50)
    assert (tmp_path / "h1_asymmetry.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.slow
def test_finished_cases_are_skipped(pretrained: Pretrained, heads: Path, tmp_path: Path):
    """What is finished is read again until the encoder or a scan changes, or its files are gone or damaged."""
    scans, out = tmp_path / "in", tmp_path / "out"
    scans.mkdir()
    for number in range(2):
        (scans / f"{number}.nii.gz").write_bytes((heads / f"{number}_t1.nii.gz").read_bytes())
    (scans / "cases.csv").write_text("id,t1\na,0.nii.gz\nb,1.nii.gz\n")
    data = f"table:{scans}"
    first = embed(data, out, checkpoint=pretrained.folder)
    vectors = np.load(out / "vectors.npz")["own"]
    times = {path: path.stat().st_mtime_ns for path in first.files if path.name.startswith(("a_", "b_"))}
    assert len(times) == 6
    assert embed(data, out, checkpoint=pretrained.folder) == first
    assert {path: path.stat().st_mtime_ns for path in times} == times
    np.testing.assert_array_equal(np.load(out / "vectors.npz")["own"], vectors)

    save(scans / "1.nii.gz", *head(seed=5, has_lesion=True)[::2])
    (out / "a_asymmetry.json").write_text("{")
    second = embed(data, out, checkpoint=pretrained.folder)
    assert second.scores["a"] == first.scores["a"]
    assert second.scores["b"] != first.scores["b"]
    assert all(path.stat().st_mtime_ns > time for path, time in times.items())

    without = embed(data, out)
    assert without.similarities == {}
    assert without.scores == second.scores
    assert (out / "symmetry.csv").read_text().splitlines()[0] == "case,group,site,category,asymmetry"


@pytest.mark.slow
def test_exchanged_sides(pretrained: Pretrained, tmp_path: Path):
    """Swapping left and right flips the map, exchanges the vectors, and leaves both scores as they were."""
    image, _, affine = head(seed=7, has_lesion=True)
    for name, array in (("as_is", image), ("swapped", image[::-1].copy())):
        save(tmp_path / "in" / f"{name}.nii.gz", array, affine)
    (tmp_path / "in" / "cases.csv").write_text("id,t1\nas_is,as_is.nii.gz\nswapped,swapped.nii.gz\n")
    done = embed(f"table:{tmp_path / 'in'}", tmp_path / "out", checkpoint=pretrained.folder)
    assert done.scores["as_is"] == pytest.approx(done.scores["swapped"], abs=1e-4)
    assert done.similarities["as_is"] == pytest.approx(done.similarities["swapped"], abs=1e-4)
    one, other = (read_image(tmp_path / "out" / f"{name}_asymmetry.nii.gz").array for name in ("as_is", "swapped"))
    np.testing.assert_allclose(other, one[::-1], atol=1e-3)
    vectors = np.load(tmp_path / "out" / "vectors.npz")
    np.testing.assert_allclose(vectors["own"][0], vectors["mirrored"][1], atol=1e-4)


@pytest.mark.slow
def test_without_categories_symmetry_is_off(heads: Path, recipe: str, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    names = [f"{number}_t1.nii.gz" for number in range(2)]
    folder = tmp_path / "in"
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes((heads / name).read_bytes())
    (folder / "cases.csv").write_text("id,t1\n" + "".join(f"{name[0]},{name}\n" for name in names))
    pretrain(recipe, f"table:{folder}", tmp_path / "out", stop_after=1)
    assert caplog.text.count("the objective symmetry is left out") == 1
    with pytest.raises(LesionlabError, match="symmetry objective"):
        embed(f"table:{folder}", tmp_path / "maps", checkpoint=tmp_path / "out" / "last")


@pytest.mark.parametrize("name", ["pretrain_t1", "pretrain_ct"])
def test_recipes_that_come_with_lesionlab(name: str):
    recipe = read_pretraining_recipe(name)
    assert {key: one.weight for key, one in recipe.objectives.items()} == {
        "rotation": 1.0,
        "contrast": 1.0,
        "inpainting": 1.0,
        "symmetry": 0.5,
    }
    assert recipe.preprocessing.straighten


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("size=[48, 64, 64]", "multiples of 32"),
        ("schedule.stps=3", "steps"),
        ("schedule.batch=1", "batch"),
        ("objectives.rotation.weight=0", "weight"),
    ],
)
def test_recipes_that_cannot_be(recipe: str, change: str, message: str):
    with pytest.raises(LesionlabError, match=message):
        read_pretraining_recipe(recipe, changes=(change,))


def test_a_network_without_mirror_image_is_refused(heads: Path, recipe: str, prepared: Path, tmp_path: Path):
    changes = ["network.name=unet", "network.options={}"]
    with pytest.raises(LesionlabError, match="sees the mirror image"):
        pretrain(recipe, f"table:{heads}", tmp_path, changes=changes, store=prepared)


def test_data_of_one_patient_are_refused(recipe: str, tmp_path: Path):
    image, _, affine = head(seed=0, has_lesion=False)
    save(tmp_path / "a.nii.gz", image, affine)
    (tmp_path / "cases.csv").write_text("id,t1\na,a.nii.gz\n")
    with pytest.raises(LesionlabError, match="two patients"):
        pretrain(recipe, f"table:{tmp_path}", tmp_path / "out")
