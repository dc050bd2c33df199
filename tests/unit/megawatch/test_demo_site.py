"""The site file of a demo: that of its scenario, but for what is around the monitor."""

from __future__ import annotations

from pathlib import Path

import pytest

from megawatch.demo.site import without_tables, write_site
from megawatch.scenario.destination import Destination
from megawatch.site.folder import open_site
from simulators.scenario.file import open_scenario, shipped

URL, WEBHOOK = "mqtt://127.0.0.1:18830", "http://127.0.0.1:9/pages"


@pytest.mark.parametrize("name", shipped())
def test_every_scenario_s_site_can_be_watched(name: str, tmp_path: Path) -> None:
    """The same racks, tenants and rules, on the demo's broker and with its pager, and nothing else."""
    scenario = open_scenario(name)
    write_site(tmp_path, scenario, broker=Destination(url=URL), webhook=WEBHOOK, secret=b"secret", run="ab12")

    found = open_site(tmp_path)

    assert found.file.site == scenario.site.site
    assert found.file.rules == scenario.site.rules
    assert found.file.engine == scenario.site.engine
    (broker,), (route,) = found.file.brokers, found.file.routes
    before = scenario.site.brokers[0]
    assert (broker.url, broker.username, broker.password_file) == (URL, None, None)
    assert (broker.name, broker.format, broker.repeat_s) == (before.name, before.format, before.repeat_s)
    assert broker.topics is not None
    assert all(f"/{scenario.site.site.name}/" in topic for topic in broker.topics)
    assert route.to.webhook == WEBHOOK


def test_a_login_is_kept_in_a_file_of_its_own(tmp_path: Path) -> None:
    """No secret stands in the site file, and nobody else may read the others."""
    scenario = open_scenario("demo_minute")
    broker = Destination(url=URL, username="me", password='ge"heim')  # noqa: S106 - no secret
    write_site(
        tmp_path, scenario, broker=broker, webhook=WEBHOOK, secret=b"key", run="ab12", queued_messages=7
    )

    found = open_site(tmp_path)

    (table,) = found.file.brokers
    assert (table.username, table.queued_messages) == ("me", 7)
    assert found.secrets == {"password": 'ge"heim', "secret": "key"}
    assert "geheim" not in (tmp_path / "site.toml").read_text().replace('"', "")
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_tables_are_left_out_with_those_within_them() -> None:
    """A table ends where the next one begins; one with a longer name is another."""
    text = '[site]\nname = "x"\n[[broker]]\nurl = "a"\n[store.influxdb] # db\nurl = "b"\n[stores]\nc = 1'

    assert without_tables(text, frozenset({"broker", "store"})) == '[site]\nname = "x"\n[stores]\nc = 1'
