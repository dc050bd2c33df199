"""docs/unknown.md answers "why is this UNKNOWN?": it lists each cause and each reason, once and in order."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from facility.readings import Quality, Reason
from rules.telemetry.cause import WORDS, Cause

DOCS: Final = Path(__file__).parents[2] / "docs"
CELL: Final = re.compile(r" *(?<!\\)\| *")


def table(page: str, heading: str) -> list[list[str]]:
    """Return the rows of the table under a heading, without its head."""
    text = (DOCS / page).read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line.strip("| ") for line in text.splitlines() if line.startswith("|")]
    return [CELL.split(line) for line in lines[2:]]


def test_every_cause_is_listed_in_the_order_in_which_it_counts() -> None:
    """A cause that is added to the code fails here until its row says what to do."""
    assert [row[0] for row in table("unknown.md", "Causes")] == [
        WORDS[c] for c in Cause if c is not Cause.NONE
    ]


def test_every_reason_of_a_dead_letter_is_listed() -> None:
    """As `megawatch deadletters` prints it."""
    found = [row[0].strip("`") for row in table("unknown.md", "Reasons of dead letters")]

    assert found == [reason.value for reason in Reason]


def test_every_quality_is_listed() -> None:
    """As `megawatch query` prints it, with its code."""
    found = [row[0] for row in table("operating.md", "Quality")]

    assert found == [f"`{q.name.lower().replace('_', ' ')}`, {q.value}" for q in Quality]


@pytest.mark.parametrize("heading", ["Causes", "Doubts about more than one point", "Reasons of dead letters"])
def test_every_row_says_what_it_means_and_what_to_do(heading: str) -> None:
    """No cell is empty."""
    assert [row for row in table("unknown.md", heading) if not all(row)] == []
