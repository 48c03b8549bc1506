"""The files around the package keep their promises."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import priorvae
from priorvae.config import load_config

REPOSITORY = Path(__file__).parents[1]
CONFIGS = sorted((REPOSITORY / "configs").glob("*.yaml"))
# In pieces, so that this file passes its own test.
PRIVATE = re.compile(
    "|".join(
        [
            r"(?<![\w.~])/(?:wor" + r"k|tm" + r"p|roo" + r"t|hom" + r"e|Use" + r"rs)/\w",
            r"pypi\." + r"org|pythonhosted\." + r"org|npmjs\." + r"org|debian\." + r"org",
            r"index-ur" + r"l|file://" + r"/",
        ]
    )
)


def committed_texts() -> dict[str, str]:
    """Return the text files that git tracks or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.check_output(command, cwd=REPOSITORY, text=True).split("\0")
    texts = {}
    for name in filter(None, listed):
        path = REPOSITORY / name
        if path.is_file() and b"\0" not in (data := path.read_bytes()):
            texts[name] = data.decode("utf-8")
    return texts


def test_constraints_pin_every_package_and_name_no_host() -> None:
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    pin = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][A-Za-z0-9.!]*( ; [^:/]+)?")
    assert lines
    assert not [line for line in lines if not pin.fullmatch(line)]


def test_constraints_cover_every_dependency() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    wanted = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    pinned = (REPOSITORY / "constraints.txt").read_text().splitlines()

    def names(requirements: list[str]) -> set[str]:
        return {re.split(r"[=<>\[; ]", r)[0].lower().replace("_", "-") for r in requirements}

    assert names(wanted) <= names(pinned)


def test_no_committed_file_names_a_machine_or_a_registry() -> None:
    found = [
        f"{name}: {match.group()}"
        for name, text in committed_texts().items()
        for match in PRIVATE.finditer(text)
    ]
    assert not found


def test_make_help_lists_every_target() -> None:
    phony = re.search(r"^\.PHONY: (.+)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert phony
    shown = subprocess.run(
        ["make", "--no-print-directory"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert [line.split()[1] for line in shown.stdout.splitlines()] == phony.group(1).split()


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configuration_is_valid_and_named_as_its_file(path: Path) -> None:
    assert load_config(path).name == path.stem


def test_versions_agree() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    assert citation["version"] == priorvae.__version__


@pytest.mark.slow
def test_wheel_holds_the_package_and_its_data(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", tmp_path, REPOSITORY],
        check=True,
    )
    (wheel,) = tmp_path.glob("priorvae-*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    package = REPOSITORY / "priorvae"
    wanted = {
        path.relative_to(REPOSITORY).as_posix()
        for path in package.rglob("*")
        if path.suffix in (".py", ".j2", ".typed") and path.is_file()
    }
    assert wanted <= held
