"""NVIDIA's recording of a liquid-cooled row: every message of it is understood, whatever comes first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from collector.mqtt.message import Message
from facility.readings import Quality, Reason
from store.journal.intake import Intake
from store.journal.journal import Journal
from testing import recording
from testing.builders import T0_MS
from testing.collector.hearing import Hearing, Outcome, raw

METADATA, VALUES = 166, 2_210
RACK_POWERS_KW = 214.08
BUS_METERS_KW = 214.05
RACK_05_KW, RACK_05_TAPS_KW = 47.829, 47.82


@pytest.fixture(scope="module", name="described")
def described_fixture() -> list[Message]:
    """Return the metadata of the recording as messages."""
    return [raw(m.topic, m.payload, received_ms=T0_MS + m.offset_ms) for m in recording.metadata()]


@pytest.fixture(scope="module", name="values")
def values_fixture() -> list[Message]:
    """Return the values of the recording as messages."""
    return [raw(m.topic, m.stamped(T0_MS), received_ms=T0_MS + m.offset_ms) for m in recording.values()]


Order = Callable[[Sequence[Message], Sequence[Message]], list[list[Message]]]

_ORDERS: dict[str, Order] = {
    "metadata first": lambda described, values: [[*described], [*values]],
    "metadata last": lambda described, values: [[*values], [*described]],
    "metadata in the middle": lambda described, values: [
        [*values[:1_100]],
        [*described],
        [*values[1_100:]],
    ],
    "one by one, metadata after every tenth": lambda described, values: [
        [message]
        for i in range(VALUES)
        for message in (values[i], *(described[i // 10 : i // 10 + 1] if i % 10 == 9 else ()))
    ],
}


@pytest.mark.parametrize("order", _ORDERS.values(), ids=_ORDERS)
def test_every_recorded_value_is_stored_whenever_its_metadata_comes(
    described: list[Message], values: list[Message], order: Order
) -> None:
    """166 metadata and 2,210 values: all values are stored, none is dead-lettered, none waits."""
    hearing = Hearing()

    outcomes = [hearing.hear(*part) for part in order(described, values)]

    assert len(hearing.kept) == len(described) == METADATA
    assert sum(len(outcome.rows) for outcome in outcomes) == VALUES
    assert not [rejection for outcome in outcomes for rejection in outcome.rejections]
    waited = [item.id for outcome in outcomes for item in outcome.waiting]
    settled = [number for outcome in outcomes for number in outcome.settled]
    assert sorted(waited) == sorted(settled)
    assert _latest(outcomes) == _latest([Hearing().hear(*described, *values)])


def test_the_recorded_powers_add_up(described: list[Message], values: list[Message]) -> None:
    """The racks' own power, the bus meters and the taps of a rack agree as they do in the recording."""
    hearing = Hearing()

    latest = _latest([hearing.hear(*described, *values)])

    points = {known.point.key: known.point for known in hearing.known.values()}
    racks = {p.asset: latest[key] for key, p in points.items() if p.quantity == "rack.power.active"}
    active = {p.asset: latest[key] for key, p in points.items() if p.quantity == "meter.power.active"}
    assert len(racks) == 6
    assert sum(racks.values()) == pytest.approx(RACK_POWERS_KW, abs=0.005)
    buses = sum(power for asset, power in active.items() if "-BUS-" in asset)
    assert buses == pytest.approx(BUS_METERS_KW, abs=0.005)
    (rack,) = (asset for asset in racks if asset.endswith("05"))
    taps = {asset: power for asset, power in active.items() if asset.startswith("C-E05-TAP-")}
    assert racks[rack] == pytest.approx(RACK_05_KW, abs=0.0005)
    assert len(taps) == 2
    assert sum(taps.values()) == pytest.approx(RACK_05_TAPS_KW, abs=0.005)


def test_all_recorded_values_are_good_or_say_why_not(described: list[Message], values: list[Message]) -> None:
    """A row's quality is that of its message: no value of the recording is implausible or stamped ahead."""
    outcome = Hearing().hear(*described, *values)

    trusted = Counter(b'"quality":1}' in message.payload for message in values)
    assert outcome.qualities.count(Quality.GOOD) == trusted[True]
    assert set(outcome.qualities) <= {Quality.GOOD, Quality.SOURCE_DOUBTS, Quality.NO_VALUE}
    assert not outcome.batch.flags.any()


@pytest.mark.shows(Reason.BAD_JSON)
def test_a_template_that_nobody_filled_in_stores_nothing(described: list[Message]) -> None:
    """The time stamps left as placeholders are 2,210 dead letters that are not JSON, and no reading."""
    left = [raw(m.topic, m.payload, received_ms=T0_MS + m.offset_ms) for m in recording.values()]

    outcome = Hearing().hear(*described, *left)

    assert outcome.reasons == [Reason.BAD_JSON] * VALUES
    assert not outcome.rows


def test_the_recording_can_be_understood_right_after_a_restart(
    tmp_path: Path, described: list[Message], values: list[Message]
) -> None:
    """Metadata survives in the journal: a new decoder knows every point by the same number, and no news."""
    journal = Journal(tmp_path)
    before = Hearing()
    first = before.hear(*described, *values[:100])
    journal.append(Intake(known=list(first.news), batch=first.batch, metadata=dict(first.metadata)), T0_MS)
    journal.close()

    again = Journal(tmp_path)
    after = Hearing(known=again.known(), metadata=again.metadata())
    outcome = after.hear(*values[100:])
    repeated = after.hear(*described)

    again.close()
    assert len(outcome.rows) == VALUES - 100
    assert not outcome.news
    assert repeated.unchanged == METADATA
    assert not repeated.news
    keys = {number: known.point.key for number, known in before.known.items()}
    assert outcome.keys == keys


def _latest(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Return the value of each point that has the newest source time."""
    rows = [row for outcome in outcomes for row in outcome.rows]
    return {key: read for key, _, read in sorted(rows, key=lambda row: row[1]) if read is not None}
