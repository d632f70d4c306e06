import csv
from pathlib import Path

import numpy as np
import pytest

from lesionlab.core.errors import OptionError
from lesionlab.workflows.demo import FEWEST_PATIENTS, run_demo
from lesionlab.workflows.modality_subsets import evaluate_subsets


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_demo_learns_does_without_t1_and_says_that_its_patients_are_synthetic(tmp_path: Path):
    files = run_demo(tmp_path)
    assert files[-1] == tmp_path / "report" / "report.html"
    assert "Synthetic patients" in files[-1].read_text(encoding="utf-8")
    with (tmp_path / "report" / "cases.csv").open(encoding="utf-8") as file:
        dice = [float(row["wmh2017.dsc"]) for row in csv.DictReader(file)]
    assert len(dice) == 5
    assert np.mean(dice) >= 0.65, dice
    data = f"wmh2017:{tmp_path / 'patients'}"
    subsets = evaluate_subsets(tmp_path / "training", data, tmp_path / "subsets", split="test")
    found = {row.modalities: row.mean_dice for row in subsets.rows}
    assert found["flair", "t1"] - found["flair",] <= 0.15, found


def test_too_few_patients_are_refused_before_anything_is_written(tmp_path: Path):
    with pytest.raises(OptionError, match=f"at least {FEWEST_PATIENTS}"):
        run_demo(tmp_path / "demo", patients=FEWEST_PATIENTS - 1)
    assert not (tmp_path / "demo").exists()
