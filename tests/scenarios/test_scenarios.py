"""Every rule does what its scenarios say, and every rule has them."""

from __future__ import annotations

import importlib
import pkgutil
from collections import defaultdict
from pathlib import Path

import pytest

import rules.library
from rules.base import Rule
from rules.engine import snapshot
from rules.engine.judging import Judging
from rules.registry import RULES
from store.journal.entries import Entry
from testing.scenarios.reading import FOLDER, read
from testing.scenarios.runner import difference, run
from tests.rehearsals.performances import played

FILES = sorted(FOLDER.glob("*/*.toml"))
MODULES = {
    module.name.rpartition(".")[2]: module.name
    for module in pkgutil.walk_packages(rules.library.__path__, "rules.library.")
    if not module.ispkg
}
NEEDED = {"fires", "limit", "gap"}


def rules_in(module: str) -> list[type[Rule]]:
    """Return the rules that a file of the library defines."""
    found = importlib.import_module(MODULES[module])
    return [
        thing
        for thing in vars(found).values()
        if isinstance(thing, type) and issubclass(thing, Rule) and thing.__module__ == found.__name__
    ]


PLAYED = [
    pytest.param(
        path,
        id=f"{path.parent.name}/{path.stem}",
        marks=pytest.mark.xdist_group(f"rules/{path.parent.name}"),
    )
    for path in FILES
]
"""Where several workers share the tests, one of them plays the scenarios of a rule, for its list as well."""


@pytest.mark.parametrize("path", PLAYED)
def test_scenario(path: Path) -> None:
    """The alarms of a site take the paths that the scenario says."""
    scenario, found, _ = played(path)

    wrong = difference(scenario, found)
    assert not wrong, f"\n{wrong}"


FIRES = [path for path in FILES if path.stem == "fires"]


@pytest.mark.parametrize("path", FIRES, ids=[path.parent.name for path in FIRES])
def test_a_restart_in_the_middle_changes_nothing(path: Path, tmp_path: Path) -> None:
    """Restored from its snapshot in the middle of what fires, an engine goes on as it would have."""
    scenario = read(path)

    def again(engine: Judging, descriptions: list[Entry], step: int) -> Judging:
        if step != scenario.steps // 2:
            return engine
        snapshot.save(engine, tmp_path / snapshot.FILE)
        fresh = engine.anew()
        assert snapshot.load(fresh, tmp_path / snapshot.FILE, descriptions)
        return fresh

    wrong = difference(scenario, run(scenario, again=again))
    assert not wrong, f"\n{wrong}"


@pytest.mark.parametrize("module", MODULES)
def test_every_rule_has_its_scenarios(module: str) -> None:
    """A rule has a scenario that fires, one exactly at its limit and one with a gap."""
    kinds = {read(path).kind for path in FILES if path.parent.name == module}

    assert kinds >= NEEDED


@pytest.mark.parametrize("path", FILES, ids=[f"{path.parent.name}/{path.stem}" for path in FILES])
def test_every_scenario_shows_what_it_says(path: Path) -> None:
    """One that fires opens the rule's alarm, one at the limit opens none, one with a gap has silence."""
    scenario = read(path)
    (rule,) = rules_in(path.parent.name)
    own = "".join(path for (name, _), path in scenario.expect.items() if name == rule.name)

    shows = {
        "fires": "A" in own,
        "limit": bool(own) and set(own) == {"."},
        "gap": scenario.has_gap and bool(own),
        "more": True,
    }

    assert shows[scenario.kind]


@pytest.mark.parametrize("module", MODULES)
def test_every_file_of_the_library_is_one_registered_rule(module: str) -> None:
    """A rule is one file, named after the catalogue, and one line of the registry."""
    (rule,) = rules_in(module)

    assert rule in RULES
    assert module.startswith(f"{rule.name.lower()}_")


def test_every_folder_of_scenarios_is_a_rule_s() -> None:
    """No scenario is left behind by a rule that was renamed."""
    folders = {path.parent.name for path in FILES}

    assert folders == set(MODULES)


def test_every_registered_rule_is_in_the_library() -> None:
    """The registry has each rule once, and nothing else."""
    found = [rule for module in MODULES for rule in rules_in(module)]

    assert len(RULES) == len(set(RULES))
    assert set(RULES) == set(found)


def test_names_of_rules_are_their_own() -> None:
    """Two rules with one name would share their alarms."""
    names: dict[str, list[type[Rule]]] = defaultdict(list)
    for rule in RULES:
        names[rule.name].append(rule)

    assert all(len(found) == 1 for found in names.values())
