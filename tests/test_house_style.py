"""What the house style can measure: lengths, names, and who prints."""

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "lesionlab"
FILES = sorted(SOURCE.rglob("*.py"))
NAMELESS = {"utils", "util", "helpers", "helper", "common", "misc", "base", "constants", "tools", "shared"}
LONGEST_FILE = 400
LONGEST_FUNCTION = 50


def functions(file: Path) -> Iterator[tuple[str, int]]:
    """Yield each function's name and its lines, docstring not counted."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            first = node.body[0]
            if ast.get_docstring(node) is not None:
                assert first.end_lineno is not None
                lines -= first.end_lineno - first.lineno + 1
            yield f"{file.relative_to(SOURCE)}:{node.lineno} {node.name}", lines


LENGTHS = dict(entry for file in FILES for entry in functions(file))


def test_there_is_something_to_measure():
    assert len(FILES) > 20
    assert len(LENGTHS) > 100


def test_no_function_is_long():
    assert {name: lines for name, lines in LENGTHS.items() if lines > LONGEST_FUNCTION} == {}


def test_most_functions_are_short():
    ordered = sorted(LENGTHS.values())
    assert statistics.median(ordered) <= 10
    assert ordered[int(0.9 * len(ordered))] < 35


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_file(file: Path):
    text = file.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert text.count("\n") <= LONGEST_FILE
    assert not NAMELESS & {part.removesuffix(".py").strip("_") for part in file.relative_to(SOURCE).parts}
    assert ast.get_docstring(tree), "the first line of a file says what it holds"
    if file.relative_to(SOURCE).parts[0] != "cli":
        assert [node.lineno for node in ast.walk(tree) if is_print(node)] == []


def is_print(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"


@pytest.mark.parametrize("file", sorted(SOURCE.rglob("__init__.py")), ids=lambda file: file.parent.name)
def test_an_init_file_only_re_exports(file: Path):
    _, *statements = ast.parse(file.read_text(encoding="utf-8")).body
    assert [node.lineno for node in statements if not is_re_export(node)] == []


def is_re_export(node: ast.stmt) -> bool:
    if isinstance(node, ast.FunctionDef):
        return node.name in ("__getattr__", "__dir__")  # they re-export on first use
    return isinstance(node, ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign | ast.If)


def test_tests_mirror_the_tree():
    rooms = {path.name for path in SOURCE.iterdir() if path.is_dir()} | {"__pycache__"}
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()}
    assert folders <= rooms
