"""Search for hyper-parameters: finished ones count, hopeless ones are cut off, and it can be repeated."""

import csv
from pathlib import Path

import pytest

from lesionlab.core.errors import OptionError, StorageError
from lesionlab.workflows.search import Searched, read_study, search

pytest.importorskip("optuna")

STUDY = """
recipe = "{recipe}"
trials = {trials}
changes = ["training.steps=1", "training.batch=2"]
[ranges]
"training.learning_rate" = {{ low = 1e-4, high = 1e-2, log = true }}
"sampling.factor" = {{ low = 1, high = 3 }}
"training.channels_last" = {{ values = [true, false] }}
"""


def search_with(trials: int, *, recipe: str, cohort: Path, store: Path, out: Path) -> Searched:
    study = out.parent / "study.toml"
    study.write_text(STUDY.format(recipe=recipe, trials=trials))
    return search(study, f"wmh2017:{cohort}", out, store=store)


def test_a_search_is_gone_on_with(cohort: Path, tiny_recipe: str, shared_store: Path, tmp_path: Path):
    given = {"recipe": tiny_recipe, "cohort": cohort, "store": shared_store, "out": tmp_path / "search"}
    first = search_with(1, **given)
    second = search_with(2, **given)
    assert second.score >= first.score
    table = list(csv.DictReader(second.files[0].read_text().splitlines()))
    assert [row["state"] for row in table] == ["complete", "complete"]
    assert max(float(row["score"]) for row in table) == pytest.approx(second.score)
    assert second.files[1].read_text().count("--change ") == 3
    assert {change.split("=")[0] for change in second.changes} == {
        "training.learning_rate",
        "sampling.factor",
        "training.channels_last",
    }


@pytest.mark.slow
def test_a_search_goes_on_where_a_kill_cut_off_the_journal(
    cohort: Path, tiny_recipe: str, shared_store: Path, tmp_path: Path
):
    given = {"recipe": tiny_recipe, "cohort": cohort, "store": shared_store, "out": tmp_path / "search"}
    search_with(1, **given)
    journal = tmp_path / "search" / "study.journal"
    journal.write_bytes(journal.read_bytes() + b'{"op_code":5,"wor')
    second = search_with(2, **given)
    assert [row["state"] for row in csv.DictReader(second.files[0].read_text().splitlines())] == ["complete"] * 2
    journal.write_bytes(b"no json\n" + journal.read_bytes())
    with pytest.raises(StorageError, match="line 1 is damaged"):
        search_with(3, **given)


def test_a_fold_of_no_split_file_is_refused(tmp_path: Path):
    study = tmp_path / "study.toml"
    study.write_text(f"fold = 1\n{STUDY.format(recipe='demo', trials=1)}")
    with pytest.raises(OptionError, match="fold has one only with --split-file"):
        search(study, "wmh2017:nowhere", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["recipe = 3", 'recipe = "a"\ntrials = 2', "no toml"])
def test_what_is_no_study_is_refused(tmp_path: Path, text: str):
    (tmp_path / "study.toml").write_text(text)
    with pytest.raises(OptionError, match="a study: recipe, trials and ranges"):
        read_study(tmp_path / "study.toml")


@pytest.mark.slow
def test_values_that_do_not_belong_together_cost_one_trial(
    cohort: Path, tiny_recipe: str, shared_store: Path, tmp_path: Path
):
    """A key that another one leaves without effect is left out; a network that cannot be is passed over."""
    study = tmp_path / "study.toml"
    ranges = """
"network.options.heads" = { values = [3, 2] }
"sampling.bonus" = { values = [0] }
"sampling.percentile" = { low = 10.0, high = 40.0 }
"""
    study.write_text(
        f'recipe = "{tiny_recipe}"\ntrials = 4\nchanges = ["training.steps=1", "training.batch=2"]\n[ranges]{ranges}'
    )
    searched = search(study, f"wmh2017:{cohort}", tmp_path / "search", store=shared_store)
    states = [row["state"] for row in csv.DictReader(searched.files[0].read_text().splitlines())]
    assert set(states) == {"complete", "pruned"}
    assert sorted(searched.changes) == ["network.options.heads=2", "sampling.bonus=0"]


def test_a_search_in_which_nothing_can_be_trained_says_why(cohort: Path, tiny_recipe: str, tmp_path: Path):
    study = tmp_path / "study.toml"
    study.write_text(f'recipe = "{tiny_recipe}"\ntrials = 2\n[ranges]\n"network.options.heads" = {{ values = [3] }}\n')
    with pytest.raises(OptionError, match=r"none; the last one was refused: .*heads"):
        search(study, f"wmh2017:{cohort}", tmp_path / "search")
