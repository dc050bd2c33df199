"""docs/architecture.md has a short page for each package, and names only what is there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from pathlib import Path
from typing import Final

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architecture.md"
MOST_LINES: Final = 40
"""Lines of one page."""


def contract(name: str) -> Mapping[str, str]:
    """Return a section of the import contracts."""
    parser = ConfigParser()
    parser.read(ROOT / ".importlinter", encoding="utf-8")
    return parser[name]


PACKAGES: Final = ("grafana", *sorted({*contract("importlinter")["root_packages"].split()} - {"bench"}))


def pages() -> dict[str, str]:
    """Return the text under each heading, by the heading."""
    parts = re.split(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {heading.strip("`"): text for heading, text in zip(parts[1::2], parts[2::2], strict=True)}


def sub_packages() -> Iterator[tuple[str, str]]:
    """Yield each package with the sub-packages that it has."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).glob("*/__init__.py")):
            yield package, path.parent.name


def named() -> Iterator[tuple[str, str]]:
    """Yield each path in code marks, with the heading that it stands under."""
    for heading, text in pages().items():
        for name in re.findall(r"`([\w./-]+(?:\.py|\.md|/\w+))`", text):
            yield heading, name


def test_each_package_has_a_page_of_at_most_forty_lines() -> None:
    """A page that grows is no page to begin with."""
    lines = {package: pages()[package].strip().count("\n") + 1 for package in PACKAGES}

    assert {package: count for package, count in lines.items() if count > MOST_LINES} == {}


def test_each_page_says_the_five_things() -> None:
    """What a package owns and what not, its invariants, how it fails, and where to begin."""
    wanted = ("Owns", "Does not", "Invariants", "Fails", "Begin with")

    assert [(p, w) for p in PACKAGES for w in wanted if f"- **{w}:**" not in pages()[p]] == []


@pytest.mark.parametrize(("package", "name"), list(sub_packages()))
def test_each_sub_package_is_named_on_the_page_of_its_package(package: str, name: str) -> None:
    """One that is added gets its line."""
    assert re.search(rf"`{name}/?`", pages()[package])


@pytest.mark.parametrize(("heading", "name"), list(named()))
def test_each_path_that_is_named_exists(heading: str, name: str) -> None:
    """A path is of the checkout, of the page's package, or of a folder beneath it."""
    folder = ROOT / heading

    assert (ROOT / name).exists() or (folder / name).exists() or any(folder.glob(f"*/{name}"))


def test_the_drawing_of_imports_has_the_layers_of_the_contract() -> None:
    """What stands in one row of the contract stands in one row of the drawing, in the same order."""
    rows = [re.findall(r"\w+", row) for row in contract("importlinter:contract:layers")["layers"].split("\n")]
    drawn = [re.findall(r"│ (\w+)", line) for line in pages()["Imports"].splitlines()]

    assert [row for row in drawn if row] == [row for row in rows if row]
