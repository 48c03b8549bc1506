"""The documentation leads somewhere, and its reference is complete."""

import re
from pathlib import Path

import pydantic
import pytest

from priorvae import config
from priorvae.bundles.info import BundleInfo
from priorvae.cli.main import COMMANDS
from priorvae.decoders.layers import KINDS

REPOSITORY = Path(__file__).parents[1]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
SECTIONS = [
    value
    for value in vars(config).values()
    if isinstance(value, type) and issubclass(value, pydantic.BaseModel)
]


def code(page: str) -> str:
    """Return what a page of the reference sets as code."""
    text = (REPOSITORY / "docs" / "reference" / page).read_text(encoding="utf-8")
    return "\n".join(re.findall(r"`([^`\n]+)`", text))


def words(page: str) -> set[str]:
    return set(re.findall(r"[\w-]+", code(page)))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(\s*([^)\s#]+)", page.read_text(encoding="utf-8"))
    missing = [x for x in links if not x.startswith("http") and not (page.parent / x).exists()]
    assert not missing


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_every_configuration_key_is_documented(section: type[pydantic.BaseModel]) -> None:
    assert set(section.model_fields) <= words("configuration.md")


def test_every_key_of_a_bundle_is_documented() -> None:
    assert set(BundleInfo.model_fields) <= words("bundle.md")


def test_every_layer_kind_is_documented() -> None:
    assert set(KINDS) <= words("bundle.md")


def test_every_command_is_documented() -> None:
    assert not [name for name in COMMANDS if f"priorvae {name} " not in code("command-line.md")]
