"""A line of a docstring that describes a value says more than its name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.tidy.test_architecture import PACKAGES, ROOT

EMPTY: Final = re.compile(
    r"^ +(\w+): (?:Which|What|Who|Whom|Where|When|How|It|Them|(?:The|An?) (\w+))\.$", re.MULTILINE
)
"""A description of one question word, or of an article and one word."""


def empty_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a file that describe a value by its own name, or by a question word."""
    for match in EMPTY.finditer(path.read_text(encoding="utf-8")):
        name, noun = match.groups()
        if noun is None or name.rstrip("s").endswith(noun.rstrip("s")):
            yield f"{path.relative_to(ROOT)}: {match[0].strip()}"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_described_value_is_more_than_its_name(package: str) -> None:
    """`racks: Which.` and `clock: The clock.` say nothing: shape, unit or meaning, or no line at all."""
    assert [line for path in sorted((ROOT / package).rglob("*.py")) for line in empty_lines(path)] == []
