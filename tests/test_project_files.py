"""The project's own files are true: workflows name what there is, and every version is the same everywhere."""

import re
import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = {path.name: path for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))}
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
POSIX_ONLY = re.compile(r"\bmake\b|\.venv/bin|&&|\\$|\$[A-Za-z{]|<<|[*]")


def read_yaml(path: Path) -> dict[Any, Any]:
    """Return a YAML file's mapping; in a workflow the key `on` reads as True, as YAML 1.1 has it."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(content, dict), path
    return content


def jobs(name: str) -> dict[str, dict[str, Any]]:
    return read_yaml(WORKFLOWS[name])["jobs"]


def steps(name: str) -> list[dict[str, Any]]:
    return [step for job in jobs(name).values() for step in job["steps"]]


def commands(name: str) -> list[str]:
    return [step["run"] for step in steps(name) if "run" in step]


def supported_versions() -> list[str]:
    stem = "Programming Language :: Python :: 3."
    return [line.removeprefix(stem[:-2]) for line in PYPROJECT["project"]["classifiers"] if line.startswith(stem)]


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def test_there_are_workflows():
    assert set(WORKFLOWS) == {"checks.yml", "documentation.yml", "release.yml"}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_may_only_read_unless_a_job_says_why(name: str):
    workflow = read_yaml(WORKFLOWS[name])
    assert workflow[True], "says when it runs"
    assert workflow["permissions"] == {"contents": "read"}
    assert "secrets." not in WORKFLOWS[name].read_text(encoding="utf-8")


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_job_ends(name: str):
    assert [job for job, content in jobs(name).items() if "timeout-minutes" not in content] == []


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_job_waits_only_for_jobs_that_exist(name: str):
    awaited = {job["needs"] for job in jobs(name).values() if "needs" in job}
    assert awaited <= set(jobs(name))


@pytest.mark.parametrize("name", WORKFLOWS)
def test_actions_are_pinned_by_version(name: str):
    actions = [step["uses"] for step in steps(name) if "uses" in step]
    assert actions
    assert [action for action in actions if not re.fullmatch(r"[\w./-]+@(v\d+(\.\d+){0,2}|[0-9a-f]{40})", action)] == []


def test_all_workflows_use_the_same_version_of_an_action():
    actions = {step["uses"] for name in WORKFLOWS for step in steps(name) if "uses" in step}
    assert len(actions) == len({action.partition("@")[0] for action in actions})


def test_every_make_target_exists():
    targets = {target for name in WORKFLOWS for line in commands(name) for target in re.findall(r"\bmake (\S+)", line)}
    assert targets == {"setup", "check", "docs"}
    assert targets <= make_targets()


def test_the_matrix_is_what_the_package_promises():
    versions = supported_versions()
    matrices = {
        job: content["strategy"]["matrix"] for job, content in jobs("checks.yml").items() if "strategy" in content
    }
    assert set(matrices) == {"checks", "tests", "wheel"}
    assert [matrix["python"] for matrix in matrices.values()] == [versions] * 3
    assert PYPROJECT["project"]["requires-python"] == f">={versions[0]}"
    for job in ("tests", "wheel"):
        assert matrices[job]["system"] == ["ubuntu-latest", "macos-latest", "windows-latest"]


def test_single_versions_of_python_are_supported_ones():
    single = {
        step["with"]["python-version"]
        for name in WORKFLOWS
        for step in steps(name)
        if "setup-python" in step.get("uses", "")
    }
    assert single - {"${{ matrix.python }}"} <= set(supported_versions())


@pytest.mark.parametrize("job", ["tests", "wheel"])
def test_what_runs_on_windows_needs_no_make_and_no_bash(job: str):
    lines = [step["run"] for step in jobs("checks.yml")[job]["steps"] if "run" in step]
    assert [line for line in lines if POSIX_ONLY.search(line) or "\n" in line] == []


def test_the_tests_run_with_every_extra():
    (install,) = [step["run"] for step in jobs("checks.yml")["tests"]["steps"] if "--editable" in step.get("run", "")]
    extras = re.search(r"\.\[([a-z,]+)\]", install)
    assert extras is not None
    assert set(extras[1].split(",")) == set(PYPROJECT["project"]["optional-dependencies"])
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert extras[0] in makefile
    assert "--group dev" in install


def test_the_wheel_alone_is_asked_for_every_extra():
    script = runpy.run_path(str(ROOT / ".github" / "ask_for_extras.py"))
    assert set(script["COMMANDS"]) == set(PYPROJECT["project"]["optional-dependencies"])
    assert any("ask_for_extras.py" in line for line in commands("checks.yml"))


def test_a_release_is_built_once_and_published_without_a_password():
    release = jobs("release.yml")
    assert read_yaml(WORKFLOWS["release.yml"])[True] == {"push": {"tags": ["v*"]}}
    assert [
        name for name, job in release.items() if any("-m build" in step.get("run", "") for step in job["steps"])
    ] == ["build"]
    assert release["pypi"]["permissions"] == {"id-token": "write"}
    assert release["pypi"]["environment"]["name"] == "pypi"
    assert not any("with" in step for step in release["pypi"]["steps"] if "pypi-publish" in step["uses"])


def test_dependabot_watches_actions_packages_and_the_image():
    updates = read_yaml(ROOT / ".github" / "dependabot.yml")["updates"]
    assert [entry["package-ecosystem"] for entry in updates] == ["github-actions", "pip", "docker"]


def test_the_citation_is_that_of_this_package():
    citation = read_yaml(ROOT / "CITATION.cff")
    project = PYPROJECT["project"]
    assert citation["title"] == f"{project['name']}: {project['description'][0].lower()}{project['description'][1:-1]}"
    for key in ("version", "license", "keywords", "authors"):
        assert citation[key] == project[key], key


@pytest.mark.parametrize("name", ["bug.yml", "addition.yml"])
def test_an_issue_form_asks_each_question_once(name: str):
    form = read_yaml(ROOT / ".github" / "ISSUE_TEMPLATE" / name)
    assert {"name", "description", "body"} <= set(form)
    questions = [part for part in form["body"] if part["type"] != "markdown"]
    assert len({part["id"] for part in questions}) == len({part["attributes"]["label"] for part in questions})
    assert any(part.get("validations", {}).get("required") for part in questions)


@pytest.mark.parametrize("name", ["SECURITY.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md"])
def test_files_that_a_page_names_exist(name: str):
    text = (ROOT / name).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("name", ["Dockerfile", "apptainer.def"])
def test_a_container_has_every_extra_on_a_supported_python(name: str):
    text = (ROOT / name).read_text(encoding="utf-8")
    extras = re.search(r"/opt/lesionlab\[([a-z,]+)\]", text)
    assert extras is not None
    assert set(extras[1].split(",")) == set(PYPROJECT["project"]["optional-dependencies"])
    image = re.search(r"^From:? python:(\S+)-slim$", text, re.MULTILINE | re.IGNORECASE)
    assert image is not None
    assert image[1] in supported_versions()


def test_both_containers_are_built_from_the_same_files():
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = {line[1:] for line in ignore if line.startswith("!")}
    copied = re.findall(
        r"^ +(\S+) /opt/lesionlab/\1$", (ROOT / "apptainer.def").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert "*" in ignore
    assert kept == set(copied)
    assert [name for name in kept if not (ROOT / name).exists()] == []
