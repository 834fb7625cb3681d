from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PYTHONS = [
    line.rpartition(" ")[2] for line in PROJECT["project"]["classifiers"] if re.search(r":: 3\.\d+$", line)
]


def locked(number: str) -> dict[str, str]:
    """Give the versions that were tested with a Python, by name."""
    lines = (ROOT / f"tests/locks/python{number}.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {str(canonicalize_name(name)): version for name, version in pairs}


def wanted() -> list[Requirement]:
    groups = [
        PROJECT["build-system"]["requires"],
        PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"].values(),
    ]
    found = [Requirement(text) for group in groups for text in group]
    return [requirement for requirement in found if requirement.name != PROJECT["project"]["name"]]


@pytest.mark.parametrize("number", PYTHONS)
def test_a_lock_has_a_version_that_fits_for_everything_the_project_wants(number: str) -> None:
    versions = locked(number)
    unfit = [
        f"{requirement}: {versions.get(canonicalize_name(requirement.name))}"
        for requirement in wanted()
        if not requirement.specifier.contains(versions.get(canonicalize_name(requirement.name), "0"))
    ]
    assert unfit == [], "`bash tests/lock` makes the locks anew"


@pytest.mark.parametrize("number", PYTHONS)
def test_a_lock_names_its_command_and_versions_and_no_place(number: str) -> None:
    head, command, *lines = (ROOT / f"tests/locks/python{number}.txt").read_text().splitlines()
    assert (head[0], command.split()) == ("#", ["#", "bash", "tests/lock"])
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line)] == []
