"""The example pages of the reference are what the product composes of the rules' scenarios."""

from __future__ import annotations

import json

import pytest

from rules.base import Rule
from rules.registry import RULES
from testing.scenarios.pages import FILE, example_of

STORED = json.loads(FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_an_example_page_is_what_is_told(rule: type[Rule]) -> None:
    """Whoever changes what a page says writes them anew: `make pages`."""
    assert example_of(rule).splitlines() == STORED[rule.name]


def test_no_page_is_left_behind() -> None:
    """Each page is of a rule that there is, in the order of the registry."""
    assert list(STORED) == [rule.name for rule in RULES]
