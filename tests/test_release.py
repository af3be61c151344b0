"""What a release consists of agrees: versions, lists of packages, actions, licences."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from lorelm.version import VERSION

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))

# The lists that `make lock` writes, with the extras that each is for.
LOCKS = {
    "requirements.txt": [],
    "deploy/requirements.lock": ["redis", "postgresql", "otel"],
    "requirements-dev.lock": ["dev"],
}


def asked(extras: list[str]) -> list[Requirement]:
    """The requirements of pyproject.toml, those of extras inside extras too."""
    found = [Requirement(each) for each in PROJECT["project"]["dependencies"]]
    for extra in extras:
        for requirement in map(Requirement, EXTRAS[extra]):
            found += (
                asked([*requirement.extras])[len(PROJECT["project"]["dependencies"]) :]
                if requirement.name == "lorelm"
                else [requirement]
            )
    return found


def pins(text: str) -> dict[str, str]:
    """The version of each package in a list, on this machine's Python."""
    environment = {**default_environment(), "sys_platform": "linux", "platform_system": "Linux"}
    found = {}
    for line in re.findall(r"^(\w.*?)(?: \\)?$", text, re.MULTILINE):
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            [specifier] = requirement.specifier
            found[canonicalize_name(requirement.name)] = specifier.version
    return found


def misfits(lock: str, extras: list[str]) -> list[str]:
    """What of pyproject.toml a list does not fit."""
    pinned = pins(lock)
    found = []
    for requirement in asked(extras):
        version = pinned.get(canonicalize_name(requirement.name))
        if requirement.name != "torch" and (
            version is None or not requirement.specifier.contains(version, prereleases=True)
        ):
            found.append(f"{requirement}: {version}")
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_a_list_fits_what_pyproject_asks_for(name: str) -> None:
    """If this fails, `make lock` writes the lists anew."""
    assert misfits((ROOT / name).read_text(encoding="utf-8"), LOCKS[name]) == []


def test_a_list_that_does_not_fit_is_noticed() -> None:
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    old = re.sub(r"^click==.*$", "click==8.0.1", lock, flags=re.MULTILINE)
    assert misfits(old, []) == ["click>=8.4: 8.0.1"]
    assert misfits(re.sub(r"^flask==.*\n", "", lock, flags=re.MULTILINE), []) == [
        "flask>=3.1: None"
    ]


def test_all_lists_have_the_same_versions() -> None:
    serving, *others = (pins((ROOT / name).read_text(encoding="utf-8")) for name in LOCKS)
    # The image has Python 3.13, for which some packages have newer versions.
    [development] = others[1:]
    assert serving.items() <= development.items()


def test_the_version_is_the_same_everywhere() -> None:
    """Where it is written beside src/lorelm/version.py, which declares it."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\d\S*) - (\S+)$", changelog, re.MULTILINE)
    assert newest
    assert (VERSION, citation["date-released"]) == newest.groups()
    assert citation["version"] == VERSION
    pages = [ROOT / "deploy" / "Containerfile", *(ROOT / "deploy" / "kubernetes").glob("*.yaml")]
    for page in [*pages, *(ROOT / "docs").rglob("*.md")]:
        text = page.read_text(encoding="utf-8")
        named = re.findall(r"lorelm:(\d+\.\d+\.\d+)|newTag: (\S+)|ARG VERSION=(\S+)", text)
        assert {"".join(each) for each in named} <= {VERSION}, page


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_takes_each_action_by_its_hash_and_has_no_rights_but_those_it_names(
    workflow: Path,
) -> None:
    text = workflow.read_text(encoding="utf-8")
    for action in re.findall(r"uses: (.+)", text):
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action
    content = yaml.safe_load(text)
    assert content["permissions"] == {}
    assert all("permissions" in job for job in content["jobs"].values())


def test_all_workflows_take_the_same_version_of_an_action() -> None:
    used = {
        action
        for workflow in WORKFLOWS
        for action in re.findall(r"uses: (\S+)", workflow.read_text(encoding="utf-8"))
    }
    assert len(used) == len({action.partition("@")[0] for action in used})


@pytest.mark.system
def test_the_licences_of_what_serving_needs_are_allowed() -> None:
    """Of the packages of `requirements.txt`, as installed here; pyproject.toml has the licences."""
    packages = [*pins((ROOT / "requirements.txt").read_text(encoding="utf-8"))]
    ended = subprocess.run(
        [sys.executable, "-m", "piplicenses", "--packages", *packages],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert len(ended.stdout.splitlines()) == 1 + len(packages)
