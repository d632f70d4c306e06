"""The command's words are frozen here: whoever changes one changes this table, and says so in the changelog."""

import importlib.metadata
import inspect
import re
import resource
import subprocess
import sys
from collections.abc import Iterable

import pytest

import lesionlab.workflows.evaluate
import lesionlab.workflows.predict
import lesionlab.workflows.train
import lesionlab.workflows.tune  # noqa: F401 - loaded here, they do not slow the first test
from lesionlab.cli.main import VERBS, main
from lesionlab.core.layout import layout
from lesionlab.core.loss import loss
from lesionlab.core.metric import metric
from lesionlab.core.network import network
from lesionlab.core.protocol import protocol
from lesionlab.core.recipe import recipe_names

WORDS: dict[str, tuple[tuple[str, ...], set[str]]] = {
    "demo": (("out",), {"--patients", "--seed"}),
    "check": (("data",), {"--json", "--fix", "--midplane", "--no-midplane"}),
    "split": (("data", "out"), {"--kind", "--folds", "--share", "--sealed-share", "--seed"}),
    "convert": (("data", "form", "out"), {"--resample", "--no-resample"}),
    "list": (("kind",), set()),
    "train": (
        ("recipe", "data", "out"),
        {"--change", "--start-from", "--store", "--workers", "--stop-after", "--split-file", "--fold"}
        | {"--max-time", "--extend", "--no-extend", "--fraction", "--seeds", "--cluster", "--mlflow"},
    ),
    "pretrain": (
        ("recipe", "data", "out"),
        {"--change", "--store", "--workers", "--stop-after", "--max-time", "--split-file"},
    ),
    "embed": (("data", "out"), {"--checkpoint", "--modality", "--split"}),
    "tune": (("checkpoint", "data"), {"--score", "--hyperparameters", "--workers", "--split-file"}),
    "predict": (
        ("checkpoint", "data", "out"),
        {"--split", "--save-probabilities", "--no-save-probabilities", "--overlap", "--flips", "--split-file"}
        | {"--require", "--threshold", "--smallest-lesion"},
    ),
    "evaluate": (
        ("predictions", "data", "out"),
        {"--protocol", "--split", "--title", "--split-file", "--modality-subsets", "--no-modality-subsets"}
        | {"--longitudinal", "--no-longitudinal", "--change-percent", "--change-mm3", "--workers"},
    ),
    "compare": (("reports_and_out",), {"--metric", "--margin", "--by", "--columns", "--title"}),
    "import-weights": (("file", "out"), {"--as", "--recipe", "--layout"}),
}
"""Verb -> what it is given by place, and its options."""

HEAVY = ("torch", "monai", "lightning_fabric", "nibabel", "scipy", "matplotlib", "skimage", "tensorboard")
HELP = "from lesionlab.cli.main import main; main(['--help'])"


def ended(*words: str) -> object:
    with pytest.raises(SystemExit) as caught:
        main(list(words))
    return caught.value.code


def test_the_verbs():
    assert set(VERBS) == set(WORDS)


@pytest.mark.parametrize("verb", WORDS)
def test_the_words_of_a_verb(verb: str, capsys: pytest.CaptureFixture[str]):
    places, options = WORDS[verb]
    parameters = inspect.signature(VERBS[verb]).parameters.values()
    assert tuple(one.name for one in parameters if one.kind is one.POSITIONAL_ONLY) == places
    assert ended(verb, "--help") == 0
    said = capsys.readouterr().out
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", said)) == options | {"--help"}


@pytest.mark.parametrize(
    ("words", "usage"),
    [
        (("predict", "clinic", "masks"), "predict CHECKPOINT LAYOUT:FOLDER OUT"),
        (("train", "wmh2017:scans"), "train RECIPE LAYOUT:FOLDER OUT"),
        (("evaluate", "masks"), "evaluate PREDICTIONS LAYOUT:FOLDER OUT"),
        (("tune",), "tune CHECKPOINT LAYOUT:FOLDER"),
        (("import-weights", "weights.pth"), "import-weights FILE OUT"),
    ],
)
def test_what_is_missing_is_named_by_what_it_is(words: tuple[str, ...], usage: str, capsys: pytest.CaptureFixture[str]):
    assert ended(*words) == 2
    assert f"usage: lesionlab {usage} [OPTIONS]" in capsys.readouterr().err


KINDS: dict[str, Iterable[str]] = {
    "networks": network,
    "losses": loss,
    "layouts": layout,
    "metrics": metric,
    "protocols": protocol,
    "recipes": [*recipe_names(), *recipe_names(for_pretraining=True)],
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_thing_is_listed_whole(
    kind: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "40")
    assert ended("list", kind) == 0
    said = capsys.readouterr().out
    assert "…" not in said, "in a file or pipe nothing is cut"
    names = list(KINDS[kind])
    assert names
    assert [name for name in names if name not in said] == []


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("trian",),
        ("train",),
        ("list", "nothing"),
        ("predict", "--flop"),
        ("train", "a", "b", "c", "--workers", "two"),
    ],
)
def test_wrong_usage_is_exit_code_2(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]):
    assert ended(*words) == 2
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err


@pytest.mark.parametrize("reports", [(), ("report",), ("a=report", "out")])
def test_one_report_is_no_comparison(reports: tuple[str, ...], capsys: pytest.CaptureFixture[str]):
    assert ended("compare", *reports) == 1
    assert "wanted two reports or more" in capsys.readouterr().err


def test_a_user_s_error_is_exit_code_1(capsys: pytest.CaptureFixture[str]):
    assert ended("check", "wmh2017:/none") == 1
    assert capsys.readouterr().err == "lesionlab: wanted a folder; found none; in /none; next: check the path\n"


def test_the_traceback_is_there_when_asked_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LESIONLAB_DEBUG", "1")
    with pytest.raises(Exception, match="wanted a folder"):
        main(["check", "wmh2017:/none"])


def loaded_by(code: str) -> set[str]:
    """Return which heavy packages a fresh Python has loaded after `code`."""
    report = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\n"
    report += f"print('loaded', [name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return set(re.findall(r"'(\w+)'", done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import lesionlab",
        HELP,
        "from lesionlab.cli.main import main; main(['train', '--help'])",
    ],
)
def test_help_loads_nothing_heavy(code: str):
    assert loaded_by(code) == set()


def test_version(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"lesionlab {importlib.metadata.version('lesionlab')}\n"


def test_help_is_quick():
    """Processor time, the best of three, so that a busy machine does not count."""
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", HELP], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 0.7
