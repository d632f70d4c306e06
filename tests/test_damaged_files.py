"""Whatever lies where lesionlab looks for a file of its own or of a dataset: one plain line, never a traceback."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_training import write_case, write_recipe

from lesionlab.cli.main import main

DEEP = 100_000


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def of_other_kinds(data: bytes) -> bytes:
    """Return a JSON file with a list in place of every value of its sections."""
    try:
        content = json.loads(data)
    except ValueError:
        return data.replace(b"\n", b"\n,\n")
    sections = content.items() if isinstance(content, dict) else ()
    return json.dumps(
        {key: {name: [None] for name in one} if isinstance(one, dict) else {} for key, one in sections}
    ).encode()


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"",
    "an object": lambda _: b"{}",
    "a list": lambda _: b"[]",
    "null": lambda _: b"null",
    "a huge number": lambda _: b"1" * 6000,
    "a deep list": lambda _: b"[" * DEEP,
    "a deep value": lambda _: b"a = " + b"[" * DEEP,
    "one long cell": lambda data: data.split(b"\n")[0] + b"\n" + b"x" * 200_000,
    "half of it": cut,
    "other kinds of values": of_other_kinds,
    "no UTF-8": lambda data: data.replace(b"a", b"\xe9\xff"),
    "binary data": lambda _: bytes(range(256)) * 8,
}

WMH = "wmh2017:{}/data"
PREDICT = ("predict", "{}/run/last", WMH, "{}/masks", "--split", "test")
GO_ON = ("train", "{}/tiny.toml", WMH, "{}/run", "--store", "{}/store", "--stop-after", "2")
EVALUATE = ("evaluate", "{}/masks", WMH, "{}/report", "--split", "test", "--protocol", "lesionlab")
EVALUATE_SEALED = ("evaluate", "{}/bare_masks", WMH, "{}/sealed_report", "--split-file", "{}/sealed.csv", *EVALUATE[4:])
START_FROM = (*GO_ON[:3], "{}/other", "--store", "{}/store", "--start-from", "own:{}/run/last/weights.safetensors")
EMBED = ("embed", WMH, "{}/embedded", "--split", "test")
SEARCH = ("tune", "{}/search", WMH, "--hyperparameters", "{}/whole_study.toml")
COMPARE = ("compare", "a={}/report", "b={}/other_report", "{}/comparison")
CONVERTED = ("check", "nnunet_raw:{}/nnunet")

FILES: dict[str, tuple[tuple[str, ...], ...]] = {
    "run/plan.json": (GO_ON,),
    "run/last/plan.json": (PREDICT, START_FROM),
    "run/last/postprocessing.json": (PREDICT,),
    "run/last/provenance.json": (PREDICT, GO_ON),
    "run/last/weights.safetensors": (PREDICT,),
    "run/last/training.safetensors": (GO_ON,),
    "run/last/model_card.json": (("tune", "{}/run/last", WMH),),
    "run/metrics.jsonl": (GO_ON,),
    "store/case.json": (GO_ON,),
    "masks/made_by.json": (EVALUATE, PREDICT),
    "masks/predictions.json": (EVALUATE, PREDICT),
    "masks/categories.json": (EVALUATE, PREDICT),
    "sealed_evaluations.jsonl": (EVALUATE_SEALED,),
    "embedded/embeddings.json": (EMBED,),
    "embedded/Utrecht_9_asymmetry.json": (EMBED,),
    "search/study.journal": (SEARCH,),
    "report/summary.json": (COMPARE,),
    "report/scores.csv": (COMPARE,),
    "report/lesions.csv": (COMPARE,),
    "split.csv": ((*PREDICT, "--split-file", "{}/split.csv"),),
    "tiny.toml": (GO_ON,),
    "data/lesionlab.toml": (("check", WMH),),
    "data/LICENSE.json": (("check", WMH),),
    "columns.csv": ((*COMPARE, "--columns", "{}/columns.csv", "--by", "scanner"),),
    "nnunet/dataset.json": (CONVERTED,),
    "nnunet/splits_final.json": (CONVERTED,),
    "nnunet/cases.csv": (CONVERTED,),
    "nnunet/conversion.json": (("convert", WMH, "nnunet_raw", "{}/nnunet"),),
    "fixed/repairs.json": (("check", WMH, "--fix", "{}/fixed"),),
    "study.toml": (("tune", "{}/search", WMH, "--hyperparameters", "{}/study.toml"),),
}
"""Where a file lies, and the commands that read it."""


def run(folder: Path, words: tuple[str, ...]) -> object:
    with pytest.raises(SystemExit) as ended:
        main([word.format(folder) for word in words])
    return ended.value.code


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what each command leaves behind."""
    folder = tmp_path_factory.mktemp("work")
    for number in range(3):
        write_case(folder / "data" / "training" / "Utrecht" / str(number), seed=number)
    write_case(folder / "data" / "test" / "Utrecht" / "9", seed=9)
    write_recipe(folder / "tiny.toml")
    other_report = (*EVALUATE[:3], "{}/other_report", *EVALUATE[4:])
    fix, convert = FILES["fixed/repairs.json"][0], FILES["nnunet/conversion.json"][0]
    split = ("split", WMH, "{}/split.csv", "--kind", "holdout")
    parts = "".join(f"Utrecht_{number},Utrecht_{number},,,training\n" for number in range(3))
    (folder / "sealed.csv").write_text(
        f"id,group,site,fold,part\n{parts}Utrecht_9,Utrecht_9,,,sealed\n", encoding="utf-8"
    )
    study = f'recipe = "{folder}/tiny.toml"\ntrials = 1\nchanges = ["training.steps=1"]\n'
    ranges = '[ranges]\n"training.batch" = { values = [2, 4] }\n'
    (folder / "whole_study.toml").write_text(study + ranges, encoding="utf-8")
    for words in (
        split,
        (*GO_ON[:-1], "1"),
        PREDICT,
        EVALUATE,
        other_report,
        convert,
        fix,
        EMBED,
        SEARCH,
    ):
        assert run(folder, words) == 0
    (folder / "bare_masks").mkdir()
    for mask in (folder / "masks").glob("*.nii.gz"):
        shutil.copy(mask, folder / "bare_masks")
    assert run(folder, EVALUATE_SEALED) == 0
    assert (folder / "sealed_evaluations.jsonl").exists()
    (folder / "columns.csv").write_text("case,scanner\nUtrecht_9,A\n", encoding="utf-8")
    return folder


def place_of(name: str, folder: Path) -> Path:
    return next((folder / "store").glob("*/case.json")) if name == "store/case.json" else folder / name


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["a folder", *DAMAGES])
@pytest.mark.parametrize("name", FILES)
def test_no_damaged_file_ends_in_a_traceback(name: str, damage: str, work: Path, tmp_path: Path):
    """Where it can be done without the file, the work is done; else one line says what is wrong."""
    for number, words in enumerate(FILES[name]):
        folder = tmp_path / str(number)
        shutil.copytree(work, folder)
        path = place_of(name, folder)
        data = path.read_bytes() if path.exists() else b'[{"train": ["Utrecht_0"], "val": ["Utrecht_1"]}]'
        path.unlink(missing_ok=True)
        if damage == "a folder":
            path.mkdir()
        else:
            path.write_bytes(DAMAGES[damage](data))
        assert run(folder, words) in (0, 1)


FOLDERS: dict[str, tuple[tuple[str, ...], ...]] = {
    "run/last": (PREDICT, GO_ON),
    "run/best": (("predict", "{}/run", WMH, "{}/masks"), GO_ON),
    "run/tensorboard": (GO_ON,),
    "store": (GO_ON,),
    "masks": (PREDICT, EVALUATE),
    "report": (EVALUATE, COMPARE),
    "embedded": (EMBED,),
    "search/trial0": (SEARCH,),
    "fixed": FILES["fixed/repairs.json"],
    "nnunet/imagesTr": (CONVERTED, *FILES["nnunet/conversion.json"]),
}
"""Where a folder lies, and the commands that read it or write into it."""


@pytest.mark.slow
@pytest.mark.parametrize("name", FOLDERS)
def test_no_file_in_the_place_of_a_folder_ends_in_a_traceback(name: str, work: Path, tmp_path: Path):
    for number, words in enumerate(FOLDERS[name]):
        folder = tmp_path / str(number)
        shutil.copytree(work, folder)
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).write_bytes(b"no folder")
        assert run(folder, words) in (0, 1)


PLACES: dict[str, Callable[[Path], object]] = {
    "a file": lambda path: path.write_bytes(b"no folder"),
    "an empty folder": lambda path: path.mkdir(),
    "nothing": lambda _: None,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("words", sorted({words for commands in FILES.values() for words in commands}), ids=" ".join)
def test_no_wrong_kind_of_argument_ends_in_a_traceback(
    words: tuple[str, ...], number: int, kind: str, work: Path, tmp_path: Path
):
    """A file in place of a folder, an empty folder, and nothing, for each argument in turn."""
    arguments = [place for place, word in enumerate(words) if "{}" in word]
    if number >= len(arguments):
        pytest.skip("the command has fewer arguments")
    folder = tmp_path / "work"
    shutil.copytree(work, folder)
    PLACES[kind](tmp_path / "other")
    changed = list(words)
    changed[arguments[number]] = words[arguments[number]].split("{}")[0] + str(tmp_path / "other")
    assert run(folder, tuple(changed)) in (0, 1)
