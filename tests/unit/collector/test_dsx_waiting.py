"""Values that come before their metadata: they wait, on disk, and each ends as a reading or a dead letter."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.decode import dsxpending
from collector.decode.dsxpending import MOST_ON_TOPIC, MOST_PAYLOAD_BYTES, MOST_WAITING, WAIT_MS, Park
from collector.kernels.portable import MOST_VALUE_BYTES
from facility.instants import MINUTE_MS
from facility.readings import Flag, Reason
from formats import dsx
from store.journal.entries import Known
from store.journal.file import Waiting
from store.journal.intake import Intake
from store.journal.journal import Journal
from testing.builders import T0_MS
from testing.collector.hearing import LAG_MS, Hearing, Outcome, key_of, metadata, raw, value

RECEIVED = T0_MS + LAG_MS


def intake(outcome: Outcome) -> Intake:
    """Return what an outcome adds to the journal."""
    return Intake(
        known=list(outcome.news),
        batch=outcome.batch,
        metadata=dict(outcome.metadata),
        rejections=list(outcome.rejections),
        waiting=list(outcome.waiting),
        settled=list(outcome.settled),
    )


def test_a_value_waits_for_its_metadata_as_it_came() -> None:
    """It is kept whole: topic, payload, flags and when it was received."""
    message = value("r1", flags=Flag.REDELIVERED)

    (waiting,) = Hearing().hear(message).waiting

    assert waiting == Waiting("bus", message.topic, message.payload, RECEIVED, Flag.REDELIVERED, 1)


def test_metadata_releases_what_waited_in_the_order_in_which_it_came() -> None:
    """The readings have the times and flags with which they came, and their numbers are settled."""
    hearing = Hearing()
    early = hearing.hear(
        value("r1", 90, T0_MS), value("r2", 80, T0_MS), value("r1", 91, T0_MS + 1, flags=Flag.RETAINED)
    )

    outcome = hearing.hear(metadata("r1", received_ms=T0_MS + MINUTE_MS))

    assert outcome.rows == [(key_of("r1"), T0_MS, 90.0), (key_of("r1"), T0_MS + 1, 91.0)]
    assert outcome.batch.received_ms.tolist() == [RECEIVED, RECEIVED + 1]
    assert outcome.batch.flags.tolist() == [Flag.NONE, Flag.RETAINED]
    assert [item.id for item in early.waiting if "r1" in item.topic] == list(outcome.settled)
    assert outcome.counted == 0, "they were counted when they came"


def test_the_wait_does_not_make_a_reading_old_or_late() -> None:
    """A week's age is counted from when it was received, not from when it was understood."""
    hearing = Hearing()
    hearing.hear(value("r1", 90, T0_MS))

    outcome = hearing.hear(metadata("r1", received_ms=T0_MS + WAIT_MS))

    assert len(outcome.rows) == 1


def test_what_waited_in_vain_is_dead_lettered() -> None:
    """After ten minutes, six times the repetition of metadata, nobody waits any more."""
    hearing = Hearing()
    hearing.hear(value("r1", 90, T0_MS), value("r1", 91, T0_MS + 1))

    before = hearing.hear(now_ms=RECEIVED + WAIT_MS)
    first = hearing.hear(now_ms=RECEIVED + WAIT_MS + 1)
    second = hearing.hear(now_ms=RECEIVED + WAIT_MS + 2)
    late = hearing.hear(metadata("r1"), value("r1", 92, T0_MS + 2))

    assert not before.rejections
    assert (first.reasons, list(first.settled)) == ([Reason.NO_METADATA], [1])
    assert (second.reasons, list(second.settled)) == ([Reason.NO_METADATA], [2])
    assert first.rejections[0].received_ms == RECEIVED
    assert late.rows == [(key_of("r1"), T0_MS + 2, 92.0)]
    assert not late.settled


def test_what_waited_for_metadata_that_is_refused_is_dead_lettered_at_once() -> None:
    """The refusal settles it; it does not wait for better metadata."""
    hearing = Hearing()
    hearing.hear(value("r1"))

    outcome = hearing.hear(metadata("r1", engUnit="degC"))

    assert outcome.reasons == [Reason.UNIT_CONTRADICTS, Reason.METADATA_REFUSED]
    assert list(outcome.settled) == [1]


def test_what_waited_is_judged_like_any_other_value() -> None:
    """A bad value is a dead letter when its metadata comes, whatever is wrong with it."""
    hearing = Hearing()
    hearing.hear(raw(value("r1").topic, b"not JSON"), value("r1", 1e6), value("r1", 90))

    outcome = hearing.hear(metadata("r1"))

    assert [read for _, _, read in outcome.rows] == [90.0]
    assert sorted(outcome.reasons) == sorted([Reason.BAD_JSON, Reason.OUT_OF_RANGE])
    assert len(outcome.settled) == 3


def test_a_value_from_the_wrong_publisher_waits_in_vain() -> None:
    """What came under another name before anybody knew is not stored under the point's."""
    hearing = Hearing()
    hearing.hear(value("r1", 11, publisher="EVIL"))

    described = hearing.hear(metadata("r1"))
    outcome = hearing.hear(now_ms=RECEIVED + WAIT_MS + 1)

    assert not described.rows
    assert len(outcome.rejections) == 1
    assert not outcome.rows


def test_a_payload_that_is_too_large_does_not_wait() -> None:
    """What would be refused for its size is refused at once: nothing huge is kept on disk."""
    topic = value("r1").topic

    outcome = Hearing().hear(
        raw(topic, b"x" * (MOST_VALUE_BYTES + 1)),
        raw(topic, b"x" * (MOST_PAYLOAD_BYTES + 1)),
        raw(topic, b"x" * MOST_PAYLOAD_BYTES),
    )

    assert outcome.reasons == [Reason.TOO_LARGE] * 2
    assert len(outcome.waiting) == 1


def test_only_so_many_wait() -> None:
    """Beyond a bound a value is refused at once: a bus without metadata fills no memory."""
    hearing = Hearing(waiting=[_waiting(i, f"p{i % 50}") for i in range(MOST_WAITING - 1)])

    outcome = hearing.hear(value("r1", 1), value("r1", 2))

    assert len(outcome.waiting) == 1
    assert outcome.reasons == [Reason.NO_METADATA]


def test_only_so_much_text_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long topics fill no more memory than usual ones; what is over leaves its room."""
    first, second = value("r1", 1), value("r1", 2)
    monkeypatch.setattr(dsxpending, "MOST_BYTES", len(first.topic) + len(first.payload))
    hearing = Hearing()

    assert hearing.hear(first, second).reasons == [Reason.NO_METADATA]
    assert len(hearing.hear(metadata("r1"), value("r2", 3)).waiting) == 1
    hearing.hear(now_ms=RECEIVED + WAIT_MS + 1)
    assert len(hearing.hear(value("r3", 3)).waiting) == 1


@pytest.mark.shows(Reason.NO_METADATA)
def test_only_so_many_wait_for_one_point() -> None:
    """What its metadata releases is decoded at once, and must not hold up everybody else."""
    hearing = Hearing(waiting=[_waiting(i, "r2") for i in range(MOST_ON_TOPIC - 1)])

    outcome = hearing.hear(value("r2", 1), value("r2", 2), value("r1", 3))

    assert [item.topic for item in outcome.waiting] == [value("r2").topic, value("r1").topic]
    assert outcome.reasons == [Reason.NO_METADATA]


def test_what_was_released_is_not_held_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values that wait for a moment leave nothing behind, however many do."""
    most = 50
    monkeypatch.setattr(dsxpending, "MOST_WAITING", most)
    park = Park([])
    for i in range(10 * most):
        park.add(_waiting(i, "r2"))
        assert len(park.release(value("r2").topic)) == 1

    assert len(park._by_age) <= 2 * most + 1
    assert list(park.give_up(RECEIVED + WAIT_MS + 1)) == []
    assert not park._by_age


@pytest.mark.parametrize("settles", ["metadata", "giving up"])
def test_waiting_goes_on_over_a_restart(tmp_path: Path, settles: str) -> None:
    """What waits is on disk: after a restart its metadata or its end of patience settles it, once."""
    journal = Journal(tmp_path)
    journal.append(intake(Hearing().hear(value("r1", 90), value("r1", 91, T0_MS + 1))), RECEIVED)
    journal.close()

    again = Journal(tmp_path)
    hearing = _after_restart(again)
    if settles == "metadata":
        outcome = hearing.hear(metadata("r1"))
    else:
        outcome = hearing.hear(now_ms=RECEIVED + 1 + WAIT_MS + 1)
    again.append(intake(outcome), RECEIVED)
    account, left = again.account(), again.waiting()
    again.close()

    assert left == []
    assert (account.received, account.waiting) == (2, 0)
    assert account.stored == (2 if settles == "metadata" else 0)


def test_numbers_of_what_waits_go_on_after_a_restart(tmp_path: Path) -> None:
    """Two that wait never have the same number, whichever start gave it."""
    journal = Journal(tmp_path)
    journal.append(intake(Hearing().hear(value("r1"))), RECEIVED)

    outcome = _after_restart(journal).hear(value("r2"))
    journal.append(intake(outcome), RECEIVED)
    waiting = journal.waiting()
    journal.close()

    assert [item.id for item in waiting] == [1, 2]


def test_what_waits_for_one_broker_is_no_other_brokers() -> None:
    """Another broker's metadata does not say what this one's values are."""
    waiting = Waiting("other-bus", value("r1").topic, value("r1").payload, RECEIVED, 0, 1)

    outcome = Hearing(waiting=[waiting]).hear(metadata("r1"))

    assert not outcome.rows
    assert not outcome.settled


def _after_restart(journal: Journal) -> Hearing:
    known: dict[int, Known] = journal.known()
    return Hearing(known=known, metadata=journal.metadata(), waiting=journal.waiting())


def _waiting(number: int, path: str) -> Waiting:
    return Waiting("bus", dsx.value_topic("PUB", key_of(path)), b"", RECEIVED, 0, number + 1)
