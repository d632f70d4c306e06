"""Every option of every command, in every situation that it can be given in: it has an effect, or it is refused.

Commands and options are those of the real functions, and `tests/test_command_line.py` holds that the help has the same.
A new option fails here until `EFFECTS` says what it changes, and until it reaches what the command calls.
"""

import importlib
import inspect
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from lesionlab.cli.main import VERBS, main
from lesionlab.core.plan import Fingerprint, Plan
from lesionlab.core.recipe import read_recipe
from lesionlab.engine.checkpoint import save_checkpoint

EFFECTS: dict[str, dict[str, str]] = {
    "demo": {"--patients": "more are drawn", "--seed": "others are drawn"},
    "check": {
        "--json": "the findings are written to it",
        "--fix": "a repaired copy is written",
        "--midplane": "the plane between the hemispheres is looked for",
    },
    "split": {
        "--kind": "who divides",
        "--folds": "how many are dealt",
        "--share": "how many patients are for test",
        "--sealed-share": "how many patients are sealed",
        "--seed": "what is drawn",
    },
    "convert": {"--resample": "other grids are resampled, where they are refused or kept without"},
    "list": {},
    "pretrain": {
        "--change": "the recipe",
        "--store": "where prepared cases lie",
        "--workers": "processes that prepare samples",
        "--max-time": "when it ends",
        "--stop-after": "when it ends",
        "--split-file": "which cases are learned from",
    },
    "train": {
        "--change": "the recipe",
        "--start-from": "the first weights",
        "--store": "where prepared cases lie",
        "--workers": "processes that prepare samples",
        "--stop-after": "when it ends",
        "--max-time": "when it ends",
        "--extend": "more steps than it began with are allowed",
        "--fraction": "how many patients are learned from, of whichever task",
        "--split-file": "which cases are learned from",
        "--fold": "which cases validate",
        "--seeds": "how many trainings there are",
        "--cluster": "where trainings are done",
        "--mlflow": "where settings and numbers are kept too",
    },
    "tune": {
        "--score": "what is to be highest, of masks or of categories",
        "--hyperparameters": "a search begins",
        "--workers": "processes that prepare samples of its trainings",
        "--split-file": "which cases are refused, or validate the trainings of a search",
    },
    "predict": {
        "--split": "which cases are predicted",
        "--save-probabilities": "maps are written",
        "--overlap": "how windows slide",
        "--flips": "mirrored views are averaged, by a classifier the left-right one",
        "--split-file": "which cases are predicted",
        "--require": "which cases fail",
        "--threshold": "what is lesion, or of two categories the second",
        "--smallest-lesion": "what is removed",
    },
    "embed": {
        "--checkpoint": "vectors of its encoder are written",
        "--modality": "of which scans the maps are, with an encoder too",
        "--split": "which cases are looked at",
    },
    "evaluate": {
        "--protocol": "whose rules",
        "--split": "which cases are scored",
        "--title": "the heading of the page",
        "--split-file": "which cases are scored",
        "--modality-subsets": "a checkpoint is scored without some of its modalities",
        "--longitudinal": "lesions are followed",
        "--change-percent": "which changes count",
        "--change-mm3": "which changes count",
        "--workers": "processes that score",
    },
    "compare": {
        "--metric": "which scores are compared",
        "--margin": "a test of equivalence is made",
        "--by": "parts of the patients are looked at",
        "--columns": "what they are parted by",
        "--title": "the heading of the page",
    },
    "import-weights": {"--as": "the network", "--recipe": "the preparation", "--layout": "what the regions mean"},
}
"""Verb -> option -> what it changes where it is not refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One way to use a command.

    Attributes:
        words: What is given before the option, the command's name left out.
        refused: Options that would change nothing here.
        is_judged_within: Whether what the command calls refuses, which knows more than the command line.
    """

    words: str
    refused: frozenset[str] = frozenset()
    is_judged_within: bool = False


def situation(words: str, *refused: str, is_judged_within: bool = False) -> Situation:
    return Situation(words=words, refused=frozenset(refused), is_judged_within=is_judged_within)


LIMITS = ("--change-percent", "--change-mm3")
OF_SCORES = ("--protocol", "--title", "--workers")
SITUATIONS: dict[str, dict[str, Situation]] = {
    "demo": {"always": situation("out")},
    "check": {"judging": situation("table:d"), "repairing": situation("table:d --fix out", "--midplane")},
    "split": {
        "official": situation("table:d s.csv --kind official", "--folds", "--share", "--seed"),
        "official and sealed": situation("table:d s.csv --kind official --sealed-share 0.1", "--folds", "--share"),
        "holdout": situation("table:d s.csv --kind holdout", "--folds"),
        "kfold": situation("table:d s.csv --kind kfold", "--share"),
        "site": situation("table:d s.csv --kind site", "--folds", "--share", "--seed"),
        "nnunet": situation("table:d s.csv --kind nnunet", "--share", "--seed"),
    },
    "convert": {"nnunet_raw": situation("table:d nnunet_raw out"), "bids": situation("table:d bids out")},
    "list": {"always": situation("losses")},
    "pretrain": {"always": situation("pretrain_t1 table:d out")},
    "train": {
        "segmentation": situation("synapse_net_wmh table:d out", "--extend"),
        "classification": situation("saca_swin_classify table:d out", "--extend"),
        "begun": situation("synapse_net_wmh table:d begun"),
        "several": situation("synapse_net_wmh table:d out --seeds 2", "--extend", "--stop-after"),
        "several, begun": situation("synapse_net_wmh table:d several --seeds 2", "--stop-after"),
        "elsewhere": situation("synapse_net_wmh table:d out --cluster local:2", "--extend", "--stop-after"),
    },
    "tune": {
        "segmentation": situation("segmenter table:d", "--workers"),
        "classification": situation("classifier table:d", "--workers"),
        "search": situation("out table:d --hyperparameters study.toml", "--score"),
    },
    "predict": {
        "segmentation": situation("segmenter table:d out", is_judged_within=True),
        "two categories": situation(
            "classifier table:d out", "--save-probabilities", "--overlap", "--smallest-lesion", is_judged_within=True
        ),
        "three categories": situation(
            "classifier_of_three table:d out",
            *("--save-probabilities", "--overlap", "--smallest-lesion", "--threshold"),
            is_judged_within=True,
        ),
    },
    "embed": {"maps": situation("table:d out"), "vectors": situation("table:d out --checkpoint encoder")},
    "evaluate": {
        "masks": situation("masks table:d out", *LIMITS, is_judged_within=True),
        "categories": situation("said table:d out", *LIMITS, "--protocol", "--workers", is_judged_within=True),
        "table of categories": situation(
            "said/categories.csv table:d out", *LIMITS, "--protocol", "--workers", is_judged_within=True
        ),
        "subsets": situation("segmenter table:d out --modality-subsets", *LIMITS, *OF_SCORES, "--longitudinal"),
        "visits": situation("masks table:d out --longitudinal", *OF_SCORES, "--modality-subsets"),
    },
    "compare": {"whole": situation("a b out", "--columns"), "parts": situation("a b out --by site")},
    "import-weights": {"always": situation("file out --as synapse_net --recipe r --layout wmh2017")},
}
"""Verb -> name -> situation: its tasks, and the options that make another thing of it."""

VALUES = {
    "--as": "sg_net", "--by": "load", "--change": "training.steps=5", "--change-mm3": "9", "--change-percent": "9",
    "--checkpoint": "encoder", "--cluster": "local:2", "--columns": "c.csv", "--fix": "out", "--fold": "0",
    "--folds": "3", "--fraction": "0.5", "--hyperparameters": "study.toml", "--json": "findings.json",
    "--kind": "site", "--layout": "isles2022", "--margin": "dsc=0.02", "--max-time": "5m", "--metric": "dsc",
    "--mlflow": "m.db", "--modality": "t1", "--overlap": "0.7", "--patients": "8", "--protocol": "wmh2017",
    "--recipe": "demo", "--require": "t1", "--score": "precision", "--sealed-share": "0.2", "--seed": "3",
    "--seeds": "2", "--share": "0.3", "--smallest-lesion": "5", "--split": "test", "--split-file": "s.csv",
    "--start-from": "own:w.safetensors", "--stop-after": "5", "--store": "store", "--threshold": "0.4",
    "--title": "Mine", "--workers": "2", "--flips": "True",
}  # fmt: skip
"""What an option is given; those that are not here are switches."""

CALLED: dict[str, tuple[str, ...]] = {
    "demo": ("demo:run_demo",),
    "check": ("check:check", "fix:fix", "check.finding:write_findings"),
    "split": ("splits:split",),
    "convert": ("convert:convert",),
    "list": (),
    "pretrain": ("pretrain:pretrain",),
    "train": ("train:train", "train_many:train_many"),
    "tune": ("tune:tune", "search:search"),
    "predict": ("predict:predict",),
    "embed": ("embed:embed",),
    "evaluate": (
        "evaluate:evaluate",
        "longitudinal:evaluate_longitudinal",
        "modality_subsets:evaluate_subsets",
    ),
    "compare": ("compare:compare",),
    "import-weights": ("import_weights:import_checkpoint",),
}
"""Verb -> module and function of `lesionlab.workflows` that do its work."""

RETURNED = {
    "check:check": (),
    "fix:fix": SimpleNamespace(changes=(), left_out={}, failures={}, findings=(), record=Path("repairs.json")),
}
"""What is given back of those that the command does something after."""


class ReachedError(Exception):
    """The command calls what does its work."""


def options_of(verb: str) -> Iterator[str]:
    """Yield the options of a command, as its parser names them."""
    command = VERBS[verb]
    types = typing.get_type_hints(command, include_extras=True)
    for name, parameter in inspect.signature(command).parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY:
            notes = getattr(types[name], "__metadata__", ())
            named = next((note.name for note in notes if getattr(note, "name", None)), name)
            yield "--" + named.replace("_", "-")


WALK = [
    pytest.param(verb, name, option, id=f"{verb} {name} {option}")
    for verb, situations in SITUATIONS.items()
    for name in situations
    for option in options_of(verb)
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the situations name, as far as a command looks at it before it begins."""
    folder = tmp_path_factory.mktemp("place")
    save_plan(folder / "segmenter", recipe="synapse_net_wmh")
    save_plan(folder / "classifier", recipe="saca_swin_classify", categories=("healthy", "stroke"))
    save_plan(folder / "classifier_of_three", recipe="saca_swin_classify", categories=("healthy", "ms", "stroke"))
    for name in ("masks", "said", "begun/last", "several/seed0/last"):
        (folder / name).mkdir(parents=True)
    (folder / "said" / "categories.csv").write_text("case,predicted,healthy,stroke\na,stroke,0.2,0.8\n")
    return folder


def save_plan(folder: Path, *, recipe: str, categories: tuple[str, ...] = ()) -> None:
    """Write a checkpoint whose weights nobody will load."""
    plan = Plan(
        recipe=read_recipe(recipe),
        regions={} if categories else {"lesion": (1,)},
        ignored=(),
        layout="table",
        training_cases=(),
        validation_cases=(),
        fingerprint=Fingerprint(
            cases=0,
            median_shape=(0, 0, 0),
            median_spacing_mm=(0, 0, 0),
            slices=0,
            lesion_slices=0,
            median_lesion_volume_ml=0,
        ),
        steps_per_epoch=1,
        total_steps=1,
        validate_every=1,
        categories=categories,
    )
    save_checkpoint(folder, {"weight": torch.zeros(1)}, plan=plan, training_state=None, progress={})


def given(words: str, option: str) -> list[str]:
    """Return the words with the option, whose value takes the place of an earlier one."""
    kept = words.split()
    if option in kept:
        del kept[kept.index(option) : kept.index(option) + 2]
    return [*kept, option, *([VALUES[option]] if option in VALUES else [])]


@pytest.fixture
def calls_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[object]]:
    """Return what a command calls, with what: what does its work is not done."""

    def run(verb: str, words: list[str]) -> list[object]:
        calls: list[object] = []

        def replaced(name: str) -> Callable[..., object]:
            def record(*args: object, **options: object) -> object:
                calls.append((name, args, options))
                if name in RETURNED:
                    return RETURNED[name]
                raise ReachedError

            return record

        with monkeypatch.context() as patched:
            for name in CALLED[verb]:
                module, function = name.split(":")
                patched.setattr(importlib.import_module(f"lesionlab.workflows.{module}"), function, replaced(name))
            with pytest.raises((ReachedError, SystemExit)) as ended:
                main([verb, *words])
        assert calls, f"{verb} {' '.join(words)} was refused: {ended.value}"
        return calls

    return run


def said_by(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the last line of a command that a user's error ends."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 1
    return capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_says_what_it_changes(verb: str):
    assert set(options_of(verb)) == set(EFFECTS[verb])
    assert all(EFFECTS[verb].values())
    assert SITUATIONS[verb]


@pytest.mark.parametrize(("verb", "name", "option"), WALK)
def test_it_has_an_effect_or_is_refused(
    verb: str,
    name: str,
    option: str,
    place: Path,
    calls_of: Callable[..., list[object]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(place)
    here = SITUATIONS[verb][name]
    if option in here.words.split() and option not in VALUES:
        return  # the switch that makes the situation
    words = given(here.words, option)
    if option not in here.refused:
        if words != here.words.split():
            assert calls_of(verb, words) != calls_of(verb, here.words.split()), "the option reaches nothing"
        if here.is_judged_within:
            assert "has one only" not in said_by([verb, *words], capsys)
        return
    before = sorted(place.rglob("*"))
    line = said_by([verb, *words], capsys)
    assert "has one only" in line
    assert option in line
    assert sorted(place.rglob("*")) == before, "nothing was begun"
