"""Each rule has a runbook, and what a rule declares of its alarms is what people read of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from megawatch.run.self_monitoring import RULE as SELF
from rules.base import Rule, runbook_of
from rules.registry import RULES

RUNBOOKS: Final = Path(__file__).parents[2] / "docs" / "runbooks"
HEADINGS: Final = ("## What it means", "## What to look at first", "## What to do", "## How it ends")


def headings(page: str) -> list[str]:
    """Return the headings of a page."""
    return re.findall(r"^#+ .+$", page, flags=re.MULTILINE)


def test_there_is_a_runbook_for_each_rule_and_no_other() -> None:
    """Also for what the monitor tells of itself."""
    names = (SELF, *(rule.name for rule in RULES))

    assert {path.name for path in RUNBOOKS.iterdir()} == {runbook_of(name) for name in names}


@pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])
def test_a_runbook_says_what_the_rule_declares(rule: type[Rule]) -> None:
    """Its title, what to look at first, and the same of not being able to tell where that is an alarm."""
    page = (RUNBOOKS / rule.runbook()).read_text(encoding="utf-8")
    unknown = [f"## {rule.name}-cannot-verify: {rule.unknown_title}"] if rule.unknown_pages else []

    assert headings(page) == [f"# {rule.name}: {rule.title}", *HEADINGS, *unknown]
    in_a_row = " ".join(page.split())
    assert f"{HEADINGS[1]} {rule.look_at} ##" in in_a_row
    assert rule.unknown_look_at in in_a_row


@pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])
def test_a_severity_step_names_a_parameter_that_there_is(rule: type[Rule]) -> None:
    """And it is graver than the rule is by itself."""
    for step in rule.severity_steps:
        assert set(re.findall("`(.+?)`", step.when)) <= set(rule.model_fields)
        assert step.severity > rule.model_fields["severity"].default
