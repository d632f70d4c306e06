"""An option that would do nothing is refused before any work begins."""

from pathlib import Path

import pytest

from lesionlab.cli.main import main

COMMANDS = {
    "check": ("check", "table:d"),
    "split": ("split", "table:d", "s.csv"),
    "train": ("train", "synapse_net_wmh", "table:d", "run"),
    "tune": ("tune", "run", "table:d"),
    "evaluate": ("evaluate", "masks", "table:d", "report"),
    "compare": ("compare", "a", "b", "out"),
}


@pytest.mark.parametrize(
    ("words", "option"),
    [
        ("check --fix out --midplane", "--midplane"),
        ("split --kind site --folds 3", "--folds"),
        ("split --kind official --share 0.3", "--share"),
        ("split --kind kfold --share 0.3", "--share"),
        ("split --kind nnunet --seed 3", "--seed"),
        ("train --extend", "--extend"),
        ("train --seeds 2 --stop-after 5", "--stop-after"),
        ("train --cluster local:2 --stop-after 5", "--stop-after"),
        ("tune --workers 2", "--workers"),
        ("tune --hyperparameters study.toml --score lesion_f1", "--score"),
        ("evaluate --change-percent 10", "--change-percent"),
        ("evaluate --change-mm3 10", "--change-mm3"),
        ("evaluate --modality-subsets --change-mm3 10", "--change-mm3"),
        ("evaluate --modality-subsets --protocol wmh2017", "--protocol"),
        ("evaluate --modality-subsets --title Mine", "--title"),
        ("evaluate --modality-subsets --workers 2", "--workers"),
        ("evaluate --longitudinal --modality-subsets", "--modality-subsets"),
        ("evaluate --longitudinal --protocol wmh2017", "--protocol"),
        ("evaluate --longitudinal --title Mine", "--title"),
        ("evaluate --longitudinal --workers 2", "--workers"),
        ("compare --columns c.csv", "--columns"),
    ],
)
def test_it_is_named(
    words: str, option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    command, *options = words.split()
    with pytest.raises(SystemExit) as caught:
        main([*COMMANDS[command], *options])
    assert caught.value.code == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"{option} has one only" in line
    assert f"leave {option} out" in line
    assert not list(tmp_path.iterdir())
