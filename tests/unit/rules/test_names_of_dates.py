"""What people call a date of a contract in a page, and whose routes hear of it."""

from __future__ import annotations

from typing import Any

import pytest

from facility.sitefile.reader import read_site
from rules.alarms.states import Change
from rules.engine.engine import Step
from rules.model.dates import date_name, stages_of
from rules.notify.message import compose
from rules.notify.routing import Route, routes_of
from rules.registry import make_rules
from testing.scenarios.reading import FOLDER, read
from testing.scenarios.runner import run

SITE = read_site("""
[site]
name = "hall"
timezone = "America/Chicago"
[[rack]]
ids = "a1"
rating_kw = 100
[[tenant]]
id = "acme"
name = "Acme AI"
holds = [{ racks = "a1", from = 2026-01-01 }]
[[tenant.contract]]
from = 2026-07-01
committed_mw = 0.05
ramp = [{ from = 2026-09-01T12:00:00-05:00, committed_mw = 0.06, shape = "step" }]
[[tenant.contract]]
from = 2027-01-01
committed_mw = 0.07
ends = 2029-05-31
notice_days = 90
""").site


def test_a_date_is_called_as_people_call_it() -> None:
    """Whose contract, what, and the day in the site's zone: the last one of what lasts until then."""
    assert list(dict.fromkeys(date_name(SITE, stage) for stage in stages_of(SITE))) == [
        "Acme AI, contract begins on 2026-07-01",
        "Acme AI, contract amended from 2027-01-01",
        "Acme AI, ramp step on 2026-09-01 12:00",
        "Acme AI, notice due by 2029-03-02 23:00",
        "Acme AI, contract ends with 2029-05-31",
    ]


def test_a_date_that_is_gone_is_called_by_its_id() -> None:
    """Its contract may have been amended since."""
    assert date_name(SITE, "acme:end/2028-01-01/7d") == "acme:end/2028-01-01/7d"


@pytest.mark.parametrize(("tenant", "is_told"), [("acme", True), ("bolt", False)])
def test_the_page_of_a_date_names_it_and_goes_to_its_tenant(tenant: str, *, is_told: bool) -> None:
    """Its id stands where it is looked up by."""
    scenario = read(FOLDER / "c10_date_near" / "fires.toml")
    steps: list[Step] = []
    run(scenario, steps.append)
    (rule,) = (made for made in make_rules({}, []) if made.name == "C10")
    step, change = next(
        (s, c) for s in steps for c in s.changes if (c.rule, c.change) == ("C10", Change.OPENED)
    )
    assert step.view is not None

    told = compose(change, rule, step.view, scenario.file.site)

    page: dict[str, Any] = told.document()
    assert page["headline"] == "[INFO] Acme, notice due by 2026-06-02: contract date near, 2.0 d"
    assert page["subject"] == "acme:notice/2026-06-03/7d"
    assert page["tenant"] == "acme"
    assert bool(routes_of(told, [Route(name="desk", tenants=frozenset({tenant}))])) is is_told
