"""Work is spread over processes from whatever runs: a script without a main guard, standard input, a command."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
from lesionlab.engine.processes import spread
print("begin")
with spread(2) as each:
    print(list(each(abs, [-1, -2, 3])))
"""

OWN_FUNCTION = """
from lesionlab.engine.processes import spread
def double(number):
    return 2 * number
if __name__ == "__main__":
    with spread(2) as each:
        print(list(each(double, [-1, -2, 3])))
"""


def run(*words: str, text: str = "") -> str:
    return subprocess.run([sys.executable, *words], input=text, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_a_script_without_a_main_guard_runs_once(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    for shown in (run(str(tmp_path / "script.py")), run("-", text=SCRIPT), run("-c", SCRIPT)):
        assert shown.split("\n") == ["begin", "[1, 2, 3]", ""]


@pytest.mark.slow
def test_a_function_of_the_script_itself_is_found(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(OWN_FUNCTION)
    assert run(str(tmp_path / "script.py")) == "[-2, -4, 6]\n"
