"""The page of a training."""

from pathlib import Path

from lesionlab.pages.training_page import ValidationCase, render_training
from lesionlab.workflows.train import Trained


def test_curves_diagnostics_and_cases_are_there():
    history = [
        {"step": 2.0, "loss": 0.5, "validation_dice": 0.2, "open_gates": 0.9},
        {"step": 4.0, "validation_dice": 0.4, "open_gates": 0.7},
    ]
    cases = [ValidationCase(case="a<b", dice=0.25, png=b"\x89PNG..."), ValidationCase(case="c", dice=0.5)]
    page = render_training(
        history, title="T", facts={"Network": "unet"}, cases=cases, best_step=4, provenance={"torch": "2"}
    )
    assert page.count("data:image/svg+xml") == 3
    assert page.count("data:image/png") == 1
    assert "a&lt;b" in page
    assert "a<b" not in page
    assert "What the network says about itself" in page
    assert page.index("Mean training loss") < page.index("Mean Dice of the validation cases") < page.index("open gates")


def test_a_training_without_a_validation_case_to_show_has_its_curves():
    page = render_training([{"step": 1.0, "loss": 1.0}], title="T", facts={}, cases=(), best_step=1, provenance={})
    assert "Validation cases" not in page
    assert page.count("data:image/svg+xml") == 1


def test_a_finished_training_has_its_page(trained: Trained):
    page = (Path(trained.folder) / "training.html").read_text()
    assert "Training of tiny" in page
    assert "data:image/png" in page
