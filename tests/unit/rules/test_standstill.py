"""Our own standstill is nobody's silence; a silence before it, or at quality of service 0, stays one."""

from __future__ import annotations

from facility.points import Cadence
from facility.readings import Batch, Flag
from rules.engine.engine import Engine
from store.journal.entries import MarkKind
from testing.builders import T0_MS
from testing.rules.halls import KW, Tape, an_engine, at_once, known_racks_of, one_tenant, play, received

STOPPED_S, WENT_ON_S = 60, 80
CALM = (60.0, 60.0, 60.0)


def at(second: float) -> int:
    """Return a second after `T0_MS` [ms]."""
    return T0_MS + round(second * 1_000)


def a_tape(until_s: int, flags: Flag = Flag.NONE) -> Tape:
    """Return a journal of three racks that publish on change, of which one changes each second."""
    tape = Tape()
    tape.put(at(-1), known_racks_of(one_tenant(), cadence=Cadence.ON_CHANGE))
    tape.connect(at(-1))
    tape.put(at(0.02), at_once(CALM, at(0), received_ms=at(0.01), flags=flags))
    for second in range(1, until_s):
        tape.put(at(second + 0.02), of_one(second, flags))
    return tape


def of_one(second: int, flags: Flag = Flag.NONE) -> Batch:
    """Return what the first rack says at a second; the others say nothing, for they do not change."""
    return at_once((60.0, None, None), at(second), received_ms=at(second + 0.01), flags=flags)


def the_engine() -> Engine:
    """Return an engine that waits 200 ms for readings."""
    return an_engine(one_tenant(), tick_ms=250, lateness_ms=200)


def bounds_at(tape: Tape, second: int) -> tuple[int, int | None]:
    """Return the bounds of the tenant's draw at a second [kW]."""
    steps = play(the_engine(), tape.entries)
    (draw,) = (step.draws[0] for step in steps if step.at_ms == at(second))
    return draw.low_milliwatts // KW, None if draw.high_milliwatts is None else draw.high_milliwatts // KW


def go_on(tape: Tape, flags: Flag = Flag.NONE) -> None:
    """Let a process that was stopped go on: it reads what waited in the socket, and then what is new."""
    tape.mark(at(WENT_ON_S), MarkKind.LOST, since_ms=at(STOPPED_S))
    tape.mark(at(WENT_ON_S), MarkKind.CONNECTED)
    held = Batch.concatenate([of_one(second, flags) for second in range(STOPPED_S, WENT_ON_S)])
    tape.put(at(WENT_ON_S + 0.1), received(held, at(WENT_ON_S + 0.05)))
    tape.mark(at(WENT_ON_S + 0.2), MarkKind.CAUGHT_UP)
    for second in range(WENT_ON_S + 1, WENT_ON_S + 5):
        tape.put(at(second + 0.02), of_one(second, flags))


def test_a_gateway_that_spoke_while_we_stood_still_was_not_silent() -> None:
    """Values that did not change are certain again with the first that is new."""
    tape = a_tape(STOPPED_S)
    go_on(tape)

    assert bounds_at(tape, WENT_ON_S - 1) == (0, 300)
    assert bounds_at(tape, WENT_ON_S + 3) == (180, 180)


def test_what_was_sent_at_most_once_while_we_stood_still_is_heard_again_first() -> None:
    """It may have been dropped: only the rack that spoke since then is known."""
    tape = a_tape(STOPPED_S, Flag.AT_MOST_ONCE)
    go_on(tape, Flag.AT_MOST_ONCE)

    assert bounds_at(tape, WENT_ON_S + 3) == (60, 260)


def test_a_gateway_that_fell_silent_before_we_lost_the_connection_is_not_excused() -> None:
    """Whether it saw its meters meanwhile, nobody knows: each of its values must be heard again."""
    tape = a_tape(STOPPED_S - 25)
    go_on(tape)

    assert bounds_at(tape, WENT_ON_S + 3) == (60, 260)


def test_what_arrived_in_time_and_was_stored_late_was_no_silence() -> None:
    """A disk that took nothing for 20 s."""
    tape = a_tape(STOPPED_S)
    kept = Batch.concatenate([of_one(second) for second in range(STOPPED_S, WENT_ON_S)])
    tape.put(at(WENT_ON_S), kept)
    for second in range(WENT_ON_S + 1, WENT_ON_S + 5):
        tape.put(at(second + 0.02), of_one(second))

    assert bounds_at(tape, WENT_ON_S - 1) == (0, 300)
    assert bounds_at(tape, WENT_ON_S + 3) == (180, 180)
