"""Each page leads to the dashboard of what it is about, in its time: one that is there."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from rules.notify.dashboards import BEFORE_MS, dashboard_url
from rules.subject import Subject, SubjectKind
from testing.builders import T0_MS

FOLDER = Path(__file__).parents[3] / "grafana" / "dashboards"
BASE = "https://grafana.example/sub/"


@pytest.mark.parametrize("kind", SubjectKind)
def test_every_kind_has_a_dashboard_that_is_there(kind: SubjectKind) -> None:
    """With the variable that chooses its subject there, where it has one."""
    url = urlsplit(dashboard_url(BASE, Subject(kind, "a b"), "a b", T0_MS, None))
    dashboard = json.loads((FOLDER / f"{url.path.rpartition('/')[2]}.json").read_text())
    asked = parse_qs(url.query)
    variables = {f"var-{variable['name']}" for variable in dashboard["templating"]["list"]}

    assert url.path.startswith("/sub/d/")
    assert asked.keys() - {"from", "to"} <= variables
    assert all(values == ["a b"] for name, values in asked.items() if name.startswith("var-"))


@pytest.mark.parametrize(
    ("over_ms", "to"), [(None, "now"), (T0_MS + 60_000, str(T0_MS + 60_000 + BEFORE_MS))]
)
def test_it_shows_from_before_the_limit_was_broken(over_ms: int | None, to: str) -> None:
    """Up to now while it lasts, else some time beyond its end."""
    url = dashboard_url(BASE, Subject(SubjectKind.TENANT, "acme"), "acme", T0_MS, over_ms)

    assert parse_qs(urlsplit(url).query) == {
        "from": [str(T0_MS - BEFORE_MS)],
        "to": [to],
        "var-tenant": ["acme"],
    }


def test_an_id_of_the_bus_stays_an_id() -> None:
    """It cannot add a variable or leave the address."""
    url = dashboard_url(BASE, Subject(SubjectKind.RACK, "x"), "a&to=0#/../b", T0_MS, None)

    assert parse_qs(urlsplit(url).query)["var-rack"] == ["a&to=0#/../b"]
    assert parse_qs(urlsplit(url).query)["to"] == ["now"]
