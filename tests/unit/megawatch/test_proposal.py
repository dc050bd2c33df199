"""What `discover` proposes: a file that passes check, with guesses that say so and err on the safe side."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from collector.mqtt.message import Message, Messages
from facility.sitefile.reader import read_site
from facility.sitefile.tables import BrokerTable
from formats.dsx import FOREIGN_FORMS
from megawatch.discover.discover import Bus, Login
from megawatch.discover.listener import Listener
from megawatch.discover.proposal import propose
from simulators.wire.bus import Tag, meter_tag, tag
from testing.builders import T0_MS
from testing.collector.hearing import heartbeat, metadata, raw, value
from testing.simulators.messages import metadata_message, rack_tag, value_message

BROKER = BrokerTable.model_validate(
    {"url": "mqtts://bms.example", "username": 'a "b"', "password_file": "pw"}
)


def proposed(*said: tuple[Tag, float | None]) -> str:
    """Return what is proposed after the metadata of points and, where there is one, a value of each."""
    listener = Listener(BROKER)
    told = [metadata_message(point) for point, _ in said]
    told += [value_message(point, value, T0_MS) for point, value in said if value is not None]
    listener.take(Messages.of(Message(one.topic, one.payload, T0_MS) for one in told))
    return propose(listener.heard, BROKER, "hall", 5)


def power(rack: str) -> Tag:
    """Return the power point of a rack."""
    return rack_tag(rack, "RackPower", f"row/{rack}", "kW")


def racks_of(text: str) -> list[dict[str, Any]]:
    """Return the rack tables of a site file."""
    tables: list[dict[str, Any]] = tomllib.loads(text).get("rack", [])
    return tables


def test_no_rack_is_guessed_smaller_than_its_neighbours() -> None:
    """An idle rack would else be capped by its idle draw, and its silence would look like compliance."""
    text = proposed((power("r1"), 0.1), (power("r2"), 47.8))

    assert [(table["ids"], table["rating_kw"]) for table in racks_of(text)] == [(["r1", "r2"], 80)]
    assert "# guess: half as much again as r2 was heard to draw" in text


def test_a_liquid_cooled_rack_is_guessed_at_what_such_racks_draw() -> None:
    """Heard while it idles, a liquid-cooled rack is still one of the kind that draws 140 kW."""
    flow = rack_tag("r1", "RackLiquidFlow", "row/r1", "LPM")

    assert racks_of(proposed((power("r1"), 47.8), (flow, 100.0)))[0]["rating_kw"] == 140
    assert racks_of(proposed((power("r1"), 120.0), (flow, 100.0)))[0]["rating_kw"] == 180


def test_without_any_power_the_guess_is_a_large_rack() -> None:
    """Nothing was heard, so nothing may look small."""
    text = proposed((power("r1"), None))

    assert racks_of(text)[0]["rating_kw"] == 140
    assert "nothing was heard of their power" in text
    assert "1 of 1 points had no value" in text


def test_the_graph_is_that_of_the_bus() -> None:
    """What serves whom is stated plainly; feeds are counted where several meters serve a rack."""
    taps = [meter_tag(f"T{i}", "ActivePower", f"t{i}", "kW", ["r1"]) for i in (1, 2, 3)]
    unit = tag("CDU", "LiquidTemperature", "cdu", unit="C", objectName="C1", objectId="C1",
               servesId=["r1", "r2"], processArea=["Secondary", "Supply"])  # fmt: skip
    text = proposed(*((point, 20.0) for point in (power("r1"), power("r2"), *taps, unit)))
    document = tomllib.loads(text)

    feeds = {table["ids"][0]: table["feeds"] for table in racks_of(text)}
    serves = {table["id"]: (table["kind"], table["serves"]) for table in document["asset"]}
    assert feeds == {"r1": 3, "r2": 2}
    assert serves == {
        "C1": ("CDU", ["r1", "r2"]),
        **{f"T{i}": ("PowerMeter", ["r1"]) for i in (1, 2, 3)},
    }


@pytest.mark.parametrize("count", [0, 1, 200])
def test_what_is_proposed_passes_check(count: int) -> None:
    """Whatever was heard, the file is read without a fault, with its racks and its broker."""
    text = proposed(*((power(f"r{i:03d}"), 10.0) for i in range(count)))
    file = read_site(text)

    assert len(file.site.racks) == count
    assert file.brokers[0] == BROKER.model_copy(update={"publishers": ["PUB"] if count else None})
    assert max(map(len, text.splitlines())) <= 110


def test_files_are_named_from_where_the_site_file_will_be(tmp_path: Path) -> None:
    """A password file given on the command line is found again beside the written file."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "site").mkdir()
    file = tmp_path / "secrets" / "bms"
    file.write_text("geheim\n")
    login = Login(username="me", password_file=file)
    beside = Bus.at("mqtt://host", "x", login, tmp_path / "site")
    alone = Bus.at("mqtt://host", "x", login, None)
    inline = Bus.at("mqtt://me:ge%40heim@host:1884", "x", Login(), None)

    assert str(beside.table.password_file) == "../secrets/bms"
    assert alone.table.password_file == str(file)
    assert beside.address.password == alone.address.password == file.read_text().strip()
    assert (inline.address.username, inline.address.password, inline.table.url) == (
        "me",
        "ge@heim",
        "mqtt://host:1884",
    )
    assert "geheim" not in repr(beside)


def test_what_is_left_out_is_named_with_its_reason() -> None:
    """A refused description is a topic and a sentence; a rack whose power no point says is named as well."""
    listener = Listener(BROKER)
    inlet, broken = rack_tag("r2", "RackInletTemperature", "row/r2", "C"), metadata_message(power("r3"))
    told = [metadata_message(power("r1")), metadata_message(inlet)]
    messages = [Message(one.topic, one.payload, T0_MS) for one in told]
    odd = (Message(broken.topic, b"{\x1b", T0_MS), Message(broken.topic, b"[", T0_MS))
    listener.take(Messages.of([*messages, *odd]))
    text = propose(listener.heard, BROKER, "hall", 5)
    figures = listener.heard.figures()

    (line,) = [line for line in text.splitlines() if line.startswith("# Left out")]
    assert line.startswith(f"# Left out {broken.topic}: bad-json, JSON is malformed")
    assert figures["left_out"] == [
        {"topic": broken.topic, "reason": "bad-json", "detail": listener.heard.left_out[broken.topic].detail}
    ]
    assert "# No point says the power of rack r2: only a meter above can." in text
    assert figures["racks_without_power"] == ["r2"]
    assert tomllib.loads(text)


def listened(*messages: Message) -> Listener:
    """Return what listened to messages."""
    listener = Listener(BROKER)
    listener.take(Messages.of(messages))
    return listener


def test_everybody_who_was_heard_is_named() -> None:
    """Who describes the site, and who publishes what is described; people strike out the others."""
    listener = listened(
        metadata("r1"),
        metadata("r2", integration="MEPAI"),
        metadata("r3", publisher="NICO"),
        metadata("r4", publisher="a b"),
    )
    text = propose(listener.heard, BROKER, "hall", 5)

    assert read_site(text).brokers[0].publishers == ["MEPAI", "NICO", "PUB", "a b"]
    assert listener.heard.remarks(None) == []
    assert [found.partition(" ")[0] for found in listener.heard.remarks(["PUB", "MEPAI", "a b"])] == ["NICO"]


@pytest.mark.parametrize(("period_s", "written"), [(5, 5), (10, None), (30, 30)])
def test_the_beat_of_heartbeats_is_learnt(period_s: int, written: int | None) -> None:
    """NVIDIA's NICo beats twice as often as the contract says."""
    listener = listened(heartbeat("BMS"))
    for i in range(4):
        at_ms = T0_MS + i * period_s * 1_000
        beat = value(
            "BMS", at_ms, at_ms, object_type="System", point_type="HeartbeatTimestampBms", quality="1"
        )
        listener.take(Messages.of([beat]))
    found = tomllib.loads(propose(listener.heard, BROKER, "hall", 5))["broker"][0]

    assert found.get("heartbeat_s") == written


def test_other_public_forms_of_the_bus_are_named() -> None:
    """A site that was commissioned against NICo's consumer is told what it speaks."""
    listener = listened(
        metadata("r1"),
        raw("BMS/v1/site/r1/Metadata", b"{}"),
        raw("NICO/v1/machine/m1/state", b"{}"),
        value("r1", 1.0, T0_MS // 1_000),
        metadata("r2", point_type="LeakDetectRack", engUnit=None, stateText=[{"value": 1, "text": "leak"}]),
    )
    text = propose(listener.heard, BROKER, "hall", 5)

    assert set(listener.heard.forms) == set(FOREIGN_FORMS)
    assert text.count("# Heard as well: ") == len(FOREIGN_FORMS)
    assert "publish milliseconds" in text
    assert len(listener.heard.remarks(["PUB"])) == len(FOREIGN_FORMS)
    assert listener.heard.points[1].quantity == "leak"
