"""The dashboards keep every rule, and each rule finds what breaks it."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from grafana import build, lint
from grafana.document import Document

GOOD = build.dashboards()
BY_UID = {document["uid"]: document for document in GOOD.values()}


def panel(document: Document, number: int) -> Document:
    """Return a panel of a dashboard."""
    found: Document = next(panel for panel in document["panels"] if panel["id"] == number)
    return found


def puts(number: int, path: str, value: object) -> Callable[[Document], None]:
    """Return a change of a panel: what stands at a path becomes something else."""

    def change(document: Document) -> None:
        put(panel(document, number), path, value)

    return change


def sets(path: str, value: object) -> Callable[[Document], None]:
    """Return a change of a dashboard: what stands at a path becomes something else."""
    return lambda document: put(document, path, value)


def put(part: Any, path: str, value: object) -> None:  # noqa: ANN401 - a part of a document
    """Put something where a path leads; None takes away what stands there."""
    *before, last = (int(step) if step.isdigit() else step for step in path.split("."))
    for step in before:
        part = part[step]
    if value is None:
        del part[last]
    else:
        part[last] = value


def asks(number: int, old: str, new: str) -> Callable[[Document], None]:
    """Return a change of a panel's first query."""

    def change(document: Document) -> None:
        target = panel(document, number)["targets"][0]
        assert old in target["query"]
        target["query"] = target["query"].replace(old, new)

    return change


def renames_column(document: Document) -> None:
    """Give a column a name that its query does not know."""
    panel(document, 7)["fieldConfig"]["overrides"][1]["matcher"]["options"] = "shares"


def drops_the_choice(document: Document) -> None:
    """Take away what is chosen of a variable."""
    for variable in document["templating"]["list"]:
        variable.pop("current", None)


def doubles_a_letter(document: Document) -> None:
    """Give two queries of a panel one letter."""
    panel(document, 9)["targets"][1]["refId"] = "A"


UNIT = "fieldConfig.defaults.unit"
EXAMPLES: list[tuple[lint.Rule, str, Callable[[Document], None], str]] = [
    (lint.has_identity, "site", sets("uid", "site"), "expected a uid megawatch-<name>, found 'site'"),
    (lint.has_identity, "site", sets("description", ""), "expected a description, found none"),
    (lint.has_identity, "site", sets("id", 12), "expected no id"),
    (lint.has_identity, "site", sets("editable", value=True), "expected editable to be false"),
    (
        lint.has_identity,
        "site",
        sets("timezone", "utc"),
        "expected the time zone of the browser, found 'utc'",
    ),
    (lint.has_stable_ids, "site", puts(2, "id", 1), "found 1 2 times"),
    (lint.has_stable_ids, "site", puts(2, "id", 0), "expected a number from 1 on"),
    (lint.has_stable_ids, "site", doubles_a_letter, "expected a letter of its own for each query"),
    (lint.has_room, "site", puts(2, "gridPos.x", 23), "expected a place within 24 columns"),
    (lint.has_room, "site", puts(2, "gridPos.x", 1), "stands on panel 2 (Contracted now)"),
    (lint.is_described, "site", puts(1, "title", ""), "expected a title"),
    (lint.is_described, "site", puts(1, "description", ""), "expected a description of one sentence"),
    (
        lint.is_described,
        "site",
        puts(1, "description", "One. Two."),
        "expected a description of one sentence",
    ),
    (lint.has_unit, "site", puts(1, UNIT, None), "expected one of our units, found ''"),
    (lint.has_unit, "site", puts(1, UNIT, "mwatt"), "unit mwatt is milliwatt: megawatt is megwatt"),
    (lint.has_unit, "site", puts(1, UNIT, "mwatth"), "unit mwatth is megawatt-hour"),
    (
        lint.has_unit,
        "site",
        puts(7, "fieldConfig.overrides.1.properties.1.value", "mwatt"),
        "panel 7 (Tenants in order of trouble): unit mwatt is milliwatt",
    ),
    (lint.has_source, "site", puts(1, "datasource.uid", "P951FEA4DE68E13C5"), "expected the data source"),
    (lint.has_source, "site", puts(1, "targets.0.datasource", None), "expected the data source ${database}"),
    (
        lint.has_source,
        "tenant",
        sets("templating.list.1.datasource.uid", "x"),
        "variable tenant: expected the",
    ),
    (
        lint.has_source,
        "site",
        sets("annotations.list.0.datasource.uid", "x"),
        "annotation Alarms: expected the",
    ),
    (lint.has_source, "site", sets("templating.list", []), "expected one variable of data sources"),
    (lint.has_queries, "site", puts(1, "targets", []), "expected a query, found none"),
    (lint.has_queries, "site", puts(1, "targets.0.query", " "), "expected a query, found an empty one"),
    (lint.fills_variables, "tenant", asks(1, "${tenant:regex}", "${tenent:regex}"), "found tenent"),
    (lint.fills_variables, "tenant", asks(1, "${tenant:regex}", "$tenant"), "expected ${tenant:regex}"),
    (lint.fills_variables, "tenant", asks(1, "${tenant:regex}", "${tenant}"), "expected ${tenant:regex}"),
    (lint.fills_variables, "site", asks(1, "time <= ${__to}ms", "time <= now()"), "found now()"),
    (
        lint.knows_names,
        "site",
        asks(1, "best_mw", "best_kw"),
        "expected a name of the schema, found 'best_kw'",
    ),
    (
        lint.knows_names,
        "site",
        asks(1, '"tenant_draw"', '"drawn"'),
        "expected a name of the schema, found 'drawn'",
    ),
    (lint.reads_little, "site", asks(1, "- 30s", "- 7h"), "expected at most 6 h of raw values"),
    (
        lint.reads_little,
        "site",
        asks(9, "AND time > ${__to}ms - 6h", ""),
        "expected at most 6 h of raw values",
    ),
    (lint.reads_little, "power", asks(8, '"minute"."reading_1m"', '"reading"'), "expected at most 6 h"),
    (
        lint.has_thresholds,
        "site",
        puts(3, "fieldConfig.defaults.thresholds.steps", [{"value": None, "color": "#0072B2"}]),
        "panel 3 (Drawn of contracted): expected thresholds",
    ),
    (
        lint.has_thresholds,
        "power",
        puts(1, "fieldConfig.defaults.thresholds.steps", []),
        "panel 1 (Most loaded meter): expected thresholds",
    ),
    (lint.keeps_gaps, "site", asks(9, "fill(null)", "fill(previous)"), "found fill(previous)"),
    (
        lint.keeps_gaps,
        "site",
        puts(9, "fieldConfig.defaults.custom.spanNulls", value=True),
        "gaps to stay open",
    ),
    (lint.has_choices, "cooling", drops_the_choice, "variable coolant: expected one of ['0.0659', '0.0691']"),
    (
        lint.stacks_what_is_whole,
        "site",
        asks(10, " AND time <= ${__to}ms - 15s", ""),
        "panel 10 (Who draws it): expected an end before ${__to}ms",
    ),
    (lint.says_none, "site", puts(6, "fieldConfig.defaults.noValue", None), "expected words for no alarms"),
    (lint.is_for_all_eyes, "site", sets("annotations.list.0.iconColor", "red"), "found 'red'"),
    (
        lint.is_for_all_eyes,
        "site",
        puts(1, "fieldConfig.defaults.color.mode", "continuous-GrYlRd"),
        "found 'continuous-GrYlRd'",
    ),
    (
        lint.has_links_that_resolve,
        "site",
        puts(6, "fieldConfig.defaults.links.0.url", "/d/alarms"),
        "expected a link to one of our dashboards, found '/d/alarms'",
    ),
    (
        lint.has_links_that_resolve,
        "site",
        puts(6, "fieldConfig.defaults.links.0.url", "/d/megawatch-tenant?var-rack=x"),
        "expected a variable of megawatch-tenant, found 'rack'",
    ),
    (lint.has_links_that_resolve, "site", sets("links", []), "expected a link to megawatch-alarms above"),
    (
        lint.has_columns_that_are_there,
        "site",
        renames_column,
        "expected a column of its queries, found 'shares'",
    ),
]


@pytest.mark.parametrize("name", sorted(GOOD))
def test_every_dashboard_keeps_every_rule(name: str) -> None:
    """As it is made."""
    assert lint.faults_of(GOOD) == []
    assert name == f"{GOOD[name]['uid']}.json"


@pytest.mark.parametrize(("rule", "uid", "change", "said"), EXAMPLES)
def test_each_rule_finds_what_breaks_it(
    rule: lint.Rule, uid: str, change: Callable[[Document], None], said: str
) -> None:
    """One fault, and what is said of it."""
    broken = deepcopy(BY_UID[f"megawatch-{uid}"])
    change(broken)

    found = list(rule(broken, BY_UID))

    assert any(said in fault for fault in found), found


def test_every_rule_has_an_example() -> None:
    """So that none is there that cannot fail."""
    assert {rule for rule, *_ in EXAMPLES} == set(lint.RULES)


def test_a_file_is_called_as_its_dashboard() -> None:
    """Grafana takes the uid, people the name: they are one."""
    found = lint.faults_of({"other.json": BY_UID["megawatch-site"]})

    assert "other.json: expected the uid as the file's name, found 'megawatch-site'" in found
