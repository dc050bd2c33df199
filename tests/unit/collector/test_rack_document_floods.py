"""Rack documents: how many never came, and what the longest message may cost."""

from __future__ import annotations

import json

import pytest

from collector.decode.rackdocument import RackDocumentDecoder
from collector.kernels.portable import MOST_DOCUMENT_BYTES
from collector.mqtt.message import Message
from facility.readings import DEAD_LETTER_BYTES, Reason
from facility.units import Dimension
from formats.rackdoc import FEED_KEYS, RACK_KEYS
from testing.builders import T0_MS
from testing.collector.hearing import (
    Hearing,
    Outcome,
    document,
    document_topic,
    listening,
    raw,
    row,
)
from testing.operations import calls_of

MOST_CALLS = 600_000
"""How many functions, C's own too, may be called for one message: a quarter of a second, as measured."""


def missed(hearing: Hearing) -> int:
    """Return how many documents never came."""
    assert isinstance(hearing.decoder, RackDocumentDecoder)
    return hearing.decoder.missed


def hear_in_time(hearing: Hearing, message: Message) -> Outcome:
    """Return what comes of a message, which must not hold up the others."""
    outcomes: list[Outcome] = []
    calls = calls_of(lambda: outcomes.append(hearing.hear(message)))
    assert calls < MOST_CALLS, f"{calls} calls for {len(message.payload)} bytes"
    return outcomes[0]


# Sequence numbers ---------------------------------------------------------------------

_SEQUENCES = {
    "without a gap": ([1, 2, 3], 0),
    "two missing": ([1, 4], 2),
    "gaps add up": ([1, 3, 6], 3),
    "one repeated": ([1, 2, 2, 3], 0),
    "one late": ([1, 3, 2, 4], 1),
    "from anywhere": ([4_711, 4_712], 0),
    "begun again at 0": ([4_711, 0, 1, 2], 0),
    "begun again at 0 with a gap": ([4_711, 0, 2], 1),
    "not numbered": ([1, None, "x", True, 2.5, 2], 0),
}


@pytest.mark.parametrize(("numbers", "gaps"), _SEQUENCES.values(), ids=_SEQUENCES)
def test_documents_that_never_came_are_counted(numbers: list[object], gaps: int) -> None:
    """A gap in the sequence is documents that the broker accepted and we never saw."""
    hearing = listening()

    for i, number in enumerate(numbers):
        outcome = hearing.hear(document("r1", time=T0_MS + i, seq=number, power_kw=90))
        assert len(outcome.rows) == 1, "whatever its number, the document is kept"

    assert missed(hearing) == gaps


def test_each_rack_counts_for_itself() -> None:
    """The numbers of one rack say nothing of another's."""
    hearing = listening()

    for rack, number in (("r1", 1), ("r2", 50), ("r1", 2), ("r2", 52)):
        hearing.hear(document(rack, seq=number, power_kw=90))

    assert missed(hearing) == 1


def test_an_immense_number_is_no_count() -> None:
    """A number that no counter reaches does not make the count of gaps one that nothing can show."""
    hearing = listening()

    for number in (1, 10**400, 2, 3):
        hearing.hear(document("r1", seq=number, power_kw=90))

    assert missed(hearing) < 2**53


# Size ---------------------------------------------------------------------------------


@pytest.mark.shows(Reason.TOO_LARGE)
def test_a_payload_beyond_the_bound_is_not_read() -> None:
    """It is one dead letter with its beginning and its length."""
    body = b'{"rack":"' + b"x" * MOST_DOCUMENT_BYTES + b'"}'

    outcome = listening().hear(raw(document_topic("r1"), body))

    assert outcome.reasons == [Reason.TOO_LARGE]
    assert outcome.rejections[0].length == len(body)
    assert len(outcome.rejections[0].payload) == DEAD_LETTER_BYTES


@pytest.mark.parametrize("depth", [100, *range(880, 1_010, 2), 5_000])
def test_no_depth_of_nesting_is_an_exception(depth: int) -> None:
    """A rack that is a nest of lists is no rack, or no JSON that can be read."""
    body = b'{"time":1,"rack":' + b"[" * depth + b"]" * depth + b"}"

    outcome = listening().hear(raw(document_topic("r1"), body))

    assert outcome.reasons in ([Reason.BAD_NAME], [Reason.BAD_JSON])


def test_a_row_of_five_hundred_racks_holds_nobody_up() -> None:
    """The largest honest message is decoded in time, and all of it is kept."""
    racks = tuple(f"pod1-row{i // 50:02d}-rack{i % 50:02d}" for i in range(500))
    feeds = {"a": {"kw": 45.1, "amps": [82.0, 81.5, 82.4]}, "b": {"kw": 45.2, "amps": [82.0, 81.5, 82.4]}}
    documents = [
        {"rack": rack, "time": T0_MS, "seq": 1, "power_kw": 90.3, "inlet_c": 23.5, "feeds": feeds}
        for rack in racks
    ]
    hearing = listening(racks)
    hearing.hear(row(*documents))

    outcome = hear_in_time(hearing, row(*({**document, "time": T0_MS + 1} for document in documents)))

    assert len(outcome.rows) == 5_000
    assert not outcome.rejections


def test_racks_that_nobody_declared_hold_nobody_up() -> None:
    """A row that is missing in the site file costs a dead letter for each rack, not the collector's time."""
    declared = tuple(f"pod1-row{i // 50:02d}-rack{i % 50:02d}" for i in range(2_270))
    documents = [{"rack": f"pod2-row00-rack{i:02d}", "time": T0_MS, "power_kw": 1} for i in range(50)]

    outcome = hear_in_time(listening(declared), row(*documents))

    assert outcome.reasons == [Reason.UNKNOWN_RACK] * 50


def test_the_fullest_message_holds_nobody_up() -> None:
    """As many values as fit, of racks that are heard for the first time."""
    racks = tuple(f"r{i}" for i in range(500))
    said = dict.fromkeys(RACK_KEYS, 1) | {"feeds": dict.fromkeys("abcd", dict.fromkeys(FEED_KEYS, 1))}
    documents = [{"rack": rack, "time": T0_MS} | said for rack in racks]
    size = len(json.dumps(documents[0], separators=(",", ":"))) + 4
    body = json.dumps(documents[: MOST_DOCUMENT_BYTES // size], separators=(",", ":")).encode()

    outcome = hear_in_time(listening(racks), raw(document_topic("row"), body))

    assert len(body) > 0.9 * MOST_DOCUMENT_BYTES
    assert len(outcome.rows) > 5_000


_FLOODS = {
    "keys that nobody knows": b"{"
    + b'"time":%d,' % T0_MS
    + b",".join(b'"powr_%06d":1' % i for i in range(7_000))
    + b"}",
    "feeds that nobody knows": b'{"time":%d,"feeds":{"a":{' % T0_MS
    + b",".join(b'"kww%07d":1' % i for i in range(7_000))
    + b"}}}",
    "empty documents": b"[" + b",".join([b"{}"] * 40_000) + b"]",
    "nulls": b"[" + b",".join([b"null"] * 25_000) + b"]",
    "racks that nobody declared": b"[" + b",".join(b'{"rack":"r%06d"}' % i for i in range(6_000)) + b"]",
}


@pytest.mark.parametrize("body", _FLOODS.values(), ids=_FLOODS)
def test_a_flood_in_one_message_is_bounded(body: bytes) -> None:
    """A message full of nonsense holds nobody up, and does not become a gigabyte of dead letters."""
    assert len(body) <= MOST_DOCUMENT_BYTES

    outcome = hear_in_time(listening(), raw(document_topic("r1"), body))

    assert not outcome.rows
    assert 1 <= len(outcome.rejections) <= 2_000
    assert sum(len(rejection.payload) for rejection in outcome.rejections) <= 4 * MOST_DOCUMENT_BYTES


def test_what_is_kept_of_many_refusals_of_one_message_is_bounded() -> None:
    """However many values of a message are refused, the disk does not hold its payload for each of them."""
    documents = [{"rack": "r1", "time": T0_MS, "x": 1, "pad": "p" * 3_000} for _ in range(300)]

    outcome = listening().hear(row(*documents))

    assert len(outcome.rejections) >= 1
    assert sum(len(rejection.payload) for rejection in outcome.rejections) <= 4 * MOST_DOCUMENT_BYTES


def test_states_are_the_only_dimension_with_truth_values() -> None:
    """The keys that take true and false are those of states."""
    states = {name for name, key in RACK_KEYS.items() if key.quantity.dimension is Dimension.STATE}

    assert states == {"leak", "leak_fault"}
