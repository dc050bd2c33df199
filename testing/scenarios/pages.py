"""The example pages of the reference of the rules: each one composed by the product from a rule's scenario.

    python -m testing.scenarios.pages        writes docs/example-pages.json anew, and prints what differs

A test holds the file against what is composed now.
"""

from __future__ import annotations

import difflib
import json
import sys
from functools import partial
from pathlib import Path
from typing import Final

from rules.alarms.states import Change
from rules.base import Rule
from rules.engine.engine import Step
from rules.notify.message import compose
from rules.registry import RULES, make_rules
from testing.scenarios.reading import FOLDER, Scenario, read
from testing.scenarios.runner import run

FILE: Final = Path(__file__).parents[2] / "docs" / "example-pages.json"


def example_pages() -> dict[str, str]:
    """Return the page of each rule, by its name: the first that its scenario `fires` tells."""
    return {rule.name: example_of(rule) for rule in RULES}


def example_of(rule: type[Rule]) -> str:
    """Return the first page that the scenario of a rule tells of it.

    Args:
        rule: A rule of the registry.

    Raises:
        ValueError: Where the scenario tells of none.
    """
    scenario = read(FOLDER / rule.__module__.rpartition(".")[2] / "fires.toml")
    made = next(each for each in make_rules(scenario.file.rules, []) if each.name == rule.name)
    texts: list[str] = []
    run(scenario, told=partial(_note, scenario, made, texts))
    if not texts:
        raise ValueError(f"{rule.name}: expected a page of its scenario, found none")
    return texts[0]


def _note(scenario: Scenario, rule: Rule, texts: list[str], step: Step) -> None:
    texts += [
        compose(change, rule, step.view, scenario.file.site).text
        for change in step.changes
        if step.view is not None
        and (change.rule, change.change, change.is_told) == (rule.name, Change.OPENED, True)
    ]


def as_file(pages: dict[str, str]) -> str:
    """Return what stands in the file of some pages."""
    return (
        json.dumps({name: text.splitlines() for name, text in pages.items()}, indent=2, ensure_ascii=False)
        + "\n"
    )


def main() -> None:
    """Write the file anew, and print what differs."""
    before = FILE.read_text(encoding="utf-8") if FILE.exists() else ""
    now = as_file(example_pages())
    FILE.write_text(now, encoding="utf-8")
    sys.stdout.writelines(
        f"{line}\n" for line in difflib.unified_diff(before.splitlines(), now.splitlines(), lineterm="", n=1)
    )


if __name__ == "__main__":
    main()
