"""From messages on a bus to a tenant's draw: what is in doubt on the bus makes no certain verdict."""

from __future__ import annotations

import json

import pytest

from collector.message import Message
from facility.site import Site
from rules.engine import Engine
from store.entries import Content, Entry
from tests.builders import T0_MS
from tests.unit.collector.hearing import Hearing, a_broker, metadata, raw, value, withdrawn
from tests.unit.rules.halls import a_site, a_tenant, a_version, an_engine, racks_of

RACKS = ("r1", "r2", "r3", "r4")
LIMIT_KW = 250


def a_hall() -> Site:
    """Return four racks of 100 kW, and their tenant's 250 kW."""
    return a_site(racks_of(*RACKS), a_tenant("acme", RACKS, a_version(LIMIT_KW)))


class Bus:
    """A bus, its decoder and an engine, second by second, without a journal between them."""

    def __init__(self, *described: Message) -> None:
        site = a_hall()
        self.hearing = Hearing(site, broker=a_broker(publishers=["PUB", "MEPAI"]))
        self.engine: Engine = an_engine(site)
        self.second = 0
        self._seq = 0
        self.say(*(described or map(metadata, RACKS)))

    def say(self, *messages: Message) -> None:
        """Let messages come at the second that it is."""
        outcome = self.hearing.hear(*(raw(m.topic, m.payload, received_ms=self.now_ms) for m in messages))
        contents: list[Content] = [tuple(outcome.news)] if outcome.news else []
        contents += [outcome.batch] if len(outcome.batch) else []
        for content in contents:
            self._seq += 1
            self.engine.take(Entry(self._seq, self.now_ms, content))

    @property
    def now_ms(self) -> int:
        """The time [ms]."""
        return T0_MS + self.second * 1_000 + 20

    def live(self, seconds: int, **powers_kw: object) -> None:
        """Let every rack speak each second: 60 kW where nothing else is said, None for silence."""
        for _ in range(seconds):
            self.second += 1
            draws = {rack: powers_kw.get(rack, 60.0) for rack in RACKS}
            said = [
                value(rack, kw, T0_MS + self.second * 1_000) for rack, kw in draws.items() if kw is not None
            ]
            self.say(*said)

    @property
    def verdict(self) -> str:
        """What is known of the tenant's draw."""
        self.engine.advance(self.now_ms + 900)
        view = self.engine.view
        assert view is not None
        low, high, limit = (
            int(column[0]) for column in (view.tenants.low, view.tenants.high, view.tenants.limit)
        )
        return "breach" if low > limit else "clear" if high <= limit else "unknown"


def meter(publisher: str, rack: str, power: float) -> tuple[Message, Message]:
    """Return the metadata and a value of a meter that is said to serve a rack."""
    described = metadata(
        "m", publisher=publisher, object_type="PowerMeter", point_type="ActivePower",
        rackLocationId=None, rackLocationName=None, objectId="M", servesId=[rack],
    )  # fmt: skip
    said = value("m", power, publisher=publisher, object_type="PowerMeter", point_type="ActivePower")
    return described, said


@pytest.mark.parametrize(
    ("doubt", "quiet"),
    [
        (withdrawn(metadata("r1")), None),
        (raw(metadata("r1").topic, b"{"), None),
        (metadata("r1", engUnit="W"), 60.0),
        (metadata("r1", rackLocationId="r9"), 60.0),
        (metadata("r1", integration="MEPAI"), None),
        (metadata("r1", integration="EVIL"), None),
        (metadata("r1", isSetpoint=True), 60.0),
    ],
    ids=["cleared", "unreadable", "unit", "asset", "integration", "foreign integration", "set point"],
)
def test_a_rack_whose_description_changes_is_not_known_at_once(doubt: Message, quiet: float | None) -> None:
    """240 of 250 kW is clear; with one rack of 100 kW in doubt nobody knows."""
    bus = Bus()
    bus.live(10)
    assert bus.verdict == "clear"

    bus.say(doubt)
    bus.live(1, r1=quiet)
    assert bus.verdict == "unknown"
    bus.live(60, r1=quiet)

    assert bus.verdict == "unknown"


def test_values_go_on_after_metadata_was_cleared_and_count_again_with_it() -> None:
    """What waited is judged, and the last of it ends the doubt."""
    bus = Bus()
    bus.live(10)
    bus.say(withdrawn(metadata("r1")))
    bus.live(20)
    assert bus.verdict == "unknown"

    bus.say(metadata("r1"))
    bus.live(1)

    assert bus.verdict == "clear"


@pytest.mark.parametrize("power", [-500.0, 0.5, 900.0])
def test_a_stranger_ends_no_overdraw_and_begins_none(power: float) -> None:
    """A meter that somebody describes as serving a rack changes nothing; named, it would contradict."""
    over, under = Bus(), Bus()
    over.live(10, r1=130.0, r2=90.0)
    under.live(10)
    for bus in (over, under):
        bus.say(*meter("EVIL", "r1", power))
        bus.live(5, **({"r1": 130.0, "r2": 90.0} if bus is over else {}))

    assert (over.verdict, under.verdict) == ("breach", "clear")


def test_racks_that_a_stranger_describes_first_are_not_known() -> None:
    """Ten kilowatts of racks that nobody named were 10 of 600, and clear."""
    bus = Bus(*(metadata(rack, publisher="EVIL") for rack in RACKS))
    bus.say(*(value(rack, 2.5, publisher="EVIL") for rack in RACKS))
    bus.live(3)

    assert json.dumps(bus.hearing.decoder.problems(bus.now_ms)).count("EVIL") == 1
    assert bus.engine.view is None or bus.verdict == "unknown"


def test_the_design_power_of_a_rack_is_not_what_it_draws() -> None:
    """Described first, it was the rack's power for ever."""
    design = metadata("r1", point_type="DesignPower")
    bus = Bus(design, *map(metadata, RACKS))
    bus.say(value("r1", 10.0, point_type="DesignPower"))
    bus.live(10, r1=95.0, r2=95.0, r3=95.0, r4=95.0)

    assert bus.verdict == "breach"


def test_a_rack_that_moved_to_a_new_path_is_known_by_it() -> None:
    """Two paths that say different things are a doubt; once the old one is withdrawn, the new one counts."""
    bus = Bus()
    bus.live(10)
    bus.say(metadata("new/r1", rackLocationId="r1"))
    for _ in range(5):
        bus.live(1, r1=None)
        bus.say(value("new/r1", 95.0, T0_MS + bus.second * 1_000))
    both = bus.verdict
    bus.say(withdrawn(metadata("r1")))
    for _ in range(5):
        bus.live(1, r1=None)
        bus.say(value("new/r1", 60.0, T0_MS + bus.second * 1_000))

    assert (both, bus.verdict) == ("unknown", "clear")
