"""The documentation is true: its Python runs, its commands exist, its site builds without a warning."""

import contextlib
import io
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from lesionlab.cli.main import VERBS, main

ROOT = Path(__file__).parents[1]
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
SLOW = {"docs/how-to/python.md", "docs/explanation/synthetic-patients.md"}
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS = re.compile(r"^ *```bash\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def with_python() -> list[object]:
    pages = [page for page in PAGES if PYTHON.search(read(page))]
    return [pytest.param(page, marks=[pytest.mark.slow] if page in SLOW else []) for page in pages]


def verb_calls() -> list[tuple[str, str]]:
    """Return every call of lesionlab in a block of shell commands, with its page."""
    blocks = ((page, block) for page in PAGES for block in COMMANDS.findall(read(page)))
    lines = ((page, line.strip()) for page, block in blocks for line in block.replace("\\\n", " ").splitlines())
    return sorted({(page, line) for page, line in lines if line.startswith("lesionlab ")})


def help_of(verb: str) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit):
        main([verb, "--help"])
    return printed.getvalue()


@pytest.mark.parametrize("page", with_python())
def test_python_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    code = "\n\n".join(PYTHON.findall(read(page)))
    (tmp_path / "page.py").write_text(code, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    runpy.run_path("page.py", run_name="__main__")


@pytest.mark.parametrize(("page", "call"), verb_calls())
def test_a_command_exists_with_its_options(page: str, call: str):
    _, verb, *words = call.split()
    assert verb in VERBS, page
    options = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert options <= set(re.findall(r"--[a-z0-9-]+", help_of(verb))), page


def test_every_verb_has_its_section():
    sections = re.findall(r"^## (\S+)$", read("docs/reference/command-line.md"), re.MULTILINE)
    assert sorted(sections) == sorted(VERBS)


def test_every_room_is_on_the_plan():
    rooms = {path.parent.name for path in (ROOT / "src" / "lesionlab").glob("*/__init__.py")}
    drawn = set(re.findall(r"^\| \d \| `(\w+)` \|", read("docs/architecture.md"), re.MULTILINE))
    assert drawn == rooms


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    fetched = re.findall(r"<(?:link|script|img)[^>]+(?:href|src)=\"(https?://[^\"]+)", page)
    assert [address for address in fetched if "canonical" not in address] == []
