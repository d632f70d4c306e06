"""The notebooks of examples/ run from top to bottom, and stay small."""

import json
from pathlib import Path
from typing import Any

import matplotlib
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
NOTEBOOKS = sorted(path.name for path in EXAMPLES.glob("*.ipynb"))
LARGEST_BYTES = 200_000


def cells(name: str, kind: str) -> list[str]:
    """Return the sources of a notebook's cells of one kind, in order."""
    notebook: dict[str, Any] = json.loads((EXAMPLES / name).read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == kind]


def test_there_is_a_quickstart():
    assert "quickstart.ipynb" in NOTEBOOKS


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_small_and_starts_with_its_title(name: str):
    assert (EXAMPLES / name).stat().st_size < LARGEST_BYTES
    assert cells(name, "markdown")[0].startswith("# ")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_was_saved_without_an_error(name: str):
    notebook = json.loads((EXAMPLES / name).read_text(encoding="utf-8"))
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    assert [output for output in outputs if output["output_type"] == "error"] == []
    assert "/home/" not in json.dumps(outputs)


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_from_top_to_bottom(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for number, source in enumerate(cells(name, "code"), start=1):
        exec(compile(source, f"{name}, cell {number}", "exec"), namespace)
    assert namespace["trained"].is_finished
    assert namespace["findings"] == ()
    scores = {row.metric: row.mean for row in namespace["evaluation"].report.summary}
    assert scores["dsc"] > 0.3
