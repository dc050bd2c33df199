"""Every outcome that the product may have is shown by a test that names it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

import pytest

from rules.causes import CAUSES
from testing.scenarios.reading import FOLDER, read
from tests.outcomes import OUTCOMES, name_of

TESTS = Path(__file__).parents[1]
HIDDEN = list(CAUSES)
"""Whose alarms another alarm may hide, as scenarios call them."""
BY_NAME = {outcome.__name__: outcome for outcome in OUTCOMES}


def shown() -> set[str]:
    """Return the names of the outcomes that marks of tests name, be it among the parameters of a test."""
    return {
        name_of(outcome)
        for path in TESTS.rglob("test_*.py")
        if "mark.shows" in (text := path.read_text())
        for outcome in shown_in(ast.parse(text))
    }


def shown_in(module: ast.Module) -> Iterator[Enum]:
    """Yield the outcomes that the marks of a module's tests name."""
    tables = {
        target.id: statement.value
        for statement in module.body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    for function in module.body:
        if not isinstance(function, ast.FunctionDef):
            continue
        marks = [node for decorator in function.decorator_list for node in ast.walk(decorator)]
        calls = [node for node in marks if isinstance(node, ast.Call) and is_mark(node.func)]
        named = [argument for call in calls for argument in call.args]
        if any(is_mark(decorator) for decorator in function.decorator_list):
            named += function.decorator_list
        for node in named:
            yield from outcomes_in(node, tables)


def is_mark(node: ast.expr) -> bool:
    """Tell whether an expression is the mark itself."""
    return ast.unparse(node) == "pytest.mark.shows"


def outcomes_in(node: ast.AST, tables: dict[str, ast.expr]) -> Iterator[Enum]:
    """Yield the outcomes that an expression names, in itself or in a table of its module."""
    for part in ast.walk(node):
        match part:
            case ast.Attribute(value=ast.Name(id=name), attr=member) if name in BY_NAME:
                yield BY_NAME[name][member]
            case ast.Name(id=name) if name in tables and tables[name] is not node:
                yield from outcomes_in(tables[name], {})


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_outcome_is_shown_by_a_test_that_names_it(outcome: type[Enum]) -> None:
    """One that no test is marked with, as `pytest.mark.shows(Reason.BAD_JSON)`, is listed."""
    assert sorted({name_of(member) for member in outcome.__members__.values()} - shown()) == []


@pytest.mark.parametrize("rule", HIDDEN)
def test_every_suppression_is_shown_by_a_scenario(rule: str) -> None:
    """A rule that says nothing beside another one has a scenario where its alarm is active and not told."""
    shown = [
        path.stem
        for path in FOLDER.glob("*/*.toml")
        for (name, _), course in read(path).expect.items()
        if name == rule and "s" in course
    ]

    assert shown, f"no scenario has an alarm of {rule} that is active and not told"
