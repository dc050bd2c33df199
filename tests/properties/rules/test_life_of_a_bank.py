"""The bank of alarms is where the table of an alarm's life is, after every sequence of events."""

from __future__ import annotations

from typing import Final

import numpy as np

from rules.alarms.life import Event
from rules.alarms.states import Bank
from rules.base import Severity
from testing.builders import T0_MS
from tests.properties.rules.lifetable import HEARD, LATER, Codes, Subjects, advance, check

LENGTH: Final = 8
SHARED: Final = 5
"""The first events are gone through once, all sequences at once; then in parts, for the memory."""
PART: Final = 343
WITHOUT_RESTART: Final = 5
NAMES: Final = tuple(map(str, range(PART * len(HEARD) ** (LENGTH - SHARED))))


def a_bank() -> Bank:
    """Return machines that have judged nothing; their delays are said with what is found."""
    return Bank("X1", Severity.INFO, LATER, LATER)


def restarted(saved: tuple[dict[str, Codes], dict[str, object]], times: int) -> Bank:
    """Return a bank that begins from what another one saved, with each of its subjects so many times."""
    arrays = {name: np.repeat(column, times) for name, column in saved[0].items()}
    bank = a_bank()
    bank.load(arrays, {"subjects": NAMES[: len(arrays["state"])], "edited": {}})
    return bank


def expanded(bank: Bank, subjects: Subjects, number: int) -> tuple[Bank, Subjects]:
    """Let every event follow on what each subject had: a restart, then one tick; check what comes of it."""
    here = subjects.repeated(len(HEARD))
    then = restarted(bank.save(), len(HEARD))
    heard = np.tile(np.arange(len(HEARD)), len(subjects.state))
    judged(then, here, heard, number)
    return then, here


def judged(bank: Bank, subjects: Subjects, heard: Codes, number: int) -> None:
    """Let one event come of each subject, in the table and in a bank, and check that they agree."""
    tick = advance(subjects, heard, number)
    changes = bank.step(bank.subjects, tick.found, T0_MS + number)
    said = bank.tell(changes, tick.hidden, tick.found, T0_MS + number)
    check(bank, subjects, tick, said, f"event {number}")


def part_of(bank: Bank, begin: int) -> Bank:
    """Return a bank of some of the subjects of another one."""
    arrays, _ = bank.save()
    return restarted(({name: column[begin : begin + PART] for name, column in arrays.items()}, {}), 1)


def test_every_sequence_of_eight_events_with_a_restart_before_each() -> None:
    """Of 7 events 5,764,801 sequences: condition, severity, what is told, and of which episode."""
    bank, subjects, steps = one_subject(), Subjects.at_first(), 0
    for number in range(1, SHARED + 1):
        bank, subjects = expanded(bank, subjects, number)
        steps += len(subjects.state)
    leaves = 0
    for begin in range(0, len(subjects.state), PART):
        part, here = part_of(bank, begin), subjects.chosen(begin, begin + PART)
        for number in range(SHARED + 1, LENGTH + 1):
            part, here = expanded(part, here, number)
            steps += len(here.state)
        leaves += len(here.state)

    assert leaves == len(HEARD) ** LENGTH
    assert steps == sum(len(HEARD) ** length for length in range(1, LENGTH + 1))


def one_subject() -> Bank:
    """Return a bank of one subject of which all is well."""
    bank, subjects = a_bank(), Subjects.at_first()
    tick = advance(subjects, np.array([HEARD.index(Event.CLEAR)]), 0)
    bank.step(NAMES[:1], tick.found, T0_MS)
    return bank


def test_every_sequence_of_five_events_without_a_restart() -> None:
    """The same history, so that what is saved is all that counts."""
    bank, subjects = one_subject(), Subjects.at_first().repeated(len(HEARD) ** WITHOUT_RESTART)
    bank = restarted(bank.save(), len(HEARD) ** WITHOUT_RESTART)
    events = np.indices((len(HEARD),) * WITHOUT_RESTART).reshape(WITHOUT_RESTART, -1)

    for number, heard in enumerate(events, 1):
        judged(bank, subjects, heard, number)
