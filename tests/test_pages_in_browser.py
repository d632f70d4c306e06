"""The pages as a person opens them: in a browser, without a word on its console."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lesionlab.workflows.compare import compare
from lesionlab.workflows.evaluate import evaluate
from lesionlab.workflows.predict import predict
from lesionlab.workflows.train import Trained, train

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PROTOCOLS = ("lesionlab", "synapse_net_paper")


def opened(page: Path, folder: Path) -> str:
    """Open a page, leave a picture of it beside it, and return what the browser said on its console.

    The policy of the pages forbids every request, so that one that was tried is told on the console too.
    """
    assert CHROMIUM is not None
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    options += [f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr", "--window-size=1300,2400"]
    picture = page.with_suffix(".png")
    command = [CHROMIUM, *options, f"--screenshot={picture}", page.resolve().as_uri()]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stderr
    assert np.asarray(Image.open(picture).convert("L")).std() > 0, "the page is blank"
    return "\n".join(line for line in said.splitlines() if "CONSOLE" in line)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_report_and_a_comparison_of_three_trained_models(
    tmp_path: Path, trained: Trained, tiny_recipe: str, cohort: Path, shared_store: Path
) -> None:
    data = f"wmh2017:{cohort}"
    runs = [trained.folder]
    for seed in (5, 7):
        out = tmp_path / f"seed{seed}"
        train(tiny_recipe, data, out, changes=[f"training.seed={seed}"], store=shared_store)
        runs.append(out)
    reports = []
    for number, run in enumerate(runs):
        masks, report = tmp_path / f"masks{number}", tmp_path / f"report{number}"
        predict(run, data, masks)
        reports.append(str(evaluate(masks, data, report, protocols=PROTOCOLS).page.parent))
    compared = compare(reports, tmp_path / "comparison", metrics=["lesionlab.dice", "synapse_net_paper.dsc"])
    assert len(compared.comparisons[0].models) == 3
    assert opened(tmp_path / "report0" / "report.html", tmp_path) == ""
    assert opened(compared.page, tmp_path) == ""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_page_that_asks_for_the_network_would_be_found(tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    policy = "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'\">"
    page.write_text(f"{policy}<h1>Text</h1><img src='http://localhost:9/none.png'>")
    assert "Content Security Policy" in opened(page, tmp_path)
