"""`check --live` listens: to whether anything arrives, and to which ids the bus has."""

from __future__ import annotations

from pathlib import Path

import pytest

from testing.collector.publishing import Publisher
from testing.megawatch.asking import asking
from testing.recording import metadata
from testing.servers.brokers import Mosquitto

pytestmark = pytest.mark.servers

SITE = """
[site]
name = "pod"
rack_rating_kw = 140
[[broker]]
url = "{url}"
heartbeat_s = 1
[[tenant]]
id = "acme"
holds = [{{ racks = ["Pod1C-E06", "Pod1c-E05"], from = 2026-01-01 }}]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 0.2
"""


def test_check_live_hears_which_racks_there_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A rack id with a typo joins as a phantom where every rack has a rating; the bus never told of it."""
    with Mosquitto(tmp_path / "broker") as broker, asking(capsys) as ask:
        (tmp_path / "site.toml").write_text(SITE.format(url=broker.url))
        silent = ask("check", tmp_path, "--live", "--json")
        with Publisher(broker.port) as publisher:
            for message in metadata():
                publisher.publish(message.topic, message.payload, retain=True)
            publisher.flush()
        heard = ask("check", tmp_path, "--live", "--json")

    assert (silent.status, heard.status) == (1, 0)
    assert silent.document["live"][0]["detail"].endswith("MQTT 5; nothing arrives in 2 s")
    assert f"; {len(metadata())} messages in " in heard.document["live"][0]["detail"]
    told = [
        [warning for warning in answer.document["warnings"] if warning.startswith("tenant")]
        for answer in (silent, heard)
    ]
    phantom = "the bus has never told of rack 'Pod1c-E05'; did you mean 'Pod1C-E05'?"
    assert told == [[], [f"tenant[0].holds: {phantom}"]]
