"""The page of an alarm's life, made from its table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from rules.alarms.life import (
    BEGINS,
    BY_PEOPLE,
    CONDITIONS,
    ENDS,
    HOLDS_BACK,
    TELLINGS,
    Condition,
    Event,
    Hold,
    Row,
    Telling,
)
from rules.causes import CAUSES

INTRO: Final = """\
What happens to an alarm, event by event, and what people are told of it. The words are those of
ISA-18.2 (IEC 62682) and OPC UA Part 9. The tables are those of `rules/alarms/life.py`; tests hold the
machines that run against them, and Spin goes through every state of a model that is made of them
([alarm.pml](alarm.pml), `make spin`): with crashes, holds and acknowledgements at any moment, every alarm
has one key, is told or has a reason why not, what hides something graver that nobody holds back is told
though people hold it back, and every end of a told alarm arrives.

An alarm is one episode of one rule and one subject, from its opening to its return. Its id is a hash of
rule, subject and the event time at which it opened; whatever is told of it has a key that begins with
that id, so a replay or a second attempt is recognised.

- What is held back is recorded and judged all the same: holding back is about telling, never about
  watching.
- A return is told if and only if the alarm was: that it opened, or that it worsened. No hold keeps a return
  from being told.
- When what held it back is over and the alarm still stands, its opening is told then, under the key that
  it would have had. What became graver while that was not told is told then, too.
- An acknowledgement stops repetition and escalation, also of an alarm that nobody was told of yet: that is
  told at most once, where it still stands when its hold is over, on the routes that are open then. It is
  not told when the hours of another begin, for somebody has taken it in hand. An acknowledgement ends where
  the alarm worsens, told or not (ISA-18.2, re-alarm): it is escalated and repeated then as if nobody had
  acknowledged it, until somebody does so again. It ends with the return, too: the next episode is
  unacknowledged.
- Nobody can resolve an alarm whose condition stands.
- UNKNOWN starts nothing and ends nothing: a pending on-delay runs on through it, an off-delay begins anew
  after it."""

HOLDS: Final = """\
## Holds

What keeps an alarm from being told, whether it stands already or not. A cause hides an alarm that opens
beside it, until that alarm is active without a cause: one that stood before its cause came is not hidden by
it, and one that is about to return when its cause is over stays hidden, also while nothing is known of it: a
page claims nothing that was over when it was last known."""

CAUSED: Final = """\
## Causes

What hides what (`rules/causes.py`). What is hidden is judged and recorded as ever, ends as ever, and is told
once its cause is over and it still stands. A cause is as grave as the gravest that it hides: it worsens with
it. One row that holds is enough; a rack is dark where all of its feeds are lost.

Who shelves a cause, or holds it back in another way, has not held back what it hides. Where the cause hides
an alarm, itself or by another that it hides, which nobody holds back, and which is graver than the cause is
by itself and than anything that people were told of it, they are told that the cause worsened, for which
alarm, and as grave as that; the hold holds again afterwards. This is looked at every second: an alarm that is
held back does not stand before another that is not, and one that is held back no longer is told then. It may
be the first that people are told of the cause; then they are told of its end, too."""

_MEANING: Final = {
    Condition.NORMAL: ("A", "", "there is no alarm"),
    Condition.PENDING: ("", "OnDelay", "the limit is broken; the on-delay runs"),
    Condition.ACTIVE: ("B, C", "Active", "there is an alarm"),
    Condition.RETURNING: (
        "B, C",
        "Active, OffDelay",
        "it is over by more than the deadband; the off-delay runs",
    ),
    Condition.UNSEEN: (
        "B, C",
        "Active",
        "it was over when it was last known, and is not known now; the off-delay waits",
    ),
}
_LETTERS: Final = {
    Hold.CAUSE: (
        "H",
        "Suppressed",
        "an alarm that says more is active (see Causes), or too much opens (Q10)",
    ),
    Hold.SHELVED: ("G", "Shelved (timed)", "somebody has shelved it, for a time and with a reason"),
    Hold.BY_DESIGN: ("H", "Suppressed", "a planned window holds it back"),
    Hold.OUT_OF_SERVICE: ("I", "OutOfService", "its asset is out of service"),
}


def alarms_reference() -> str:
    """Return the text of the page below its heading: every row of the tables."""
    parts = (
        INTRO,
        "## Conditions\n\nWhat is not in the second table changes nothing.",
        _table(
            ("condition", "ISA-18.2", "OPC UA", "what it is"),
            ((_word(one), *_MEANING[one]) for one in Condition),
        ),
        _table(("condition", "event", "condition then", "the alarm"), map(_row, CONDITIONS)),
        HOLDS,
        _table(
            ("hold", "ISA-18.2", "OPC UA", "what it is", "begins", "ends", "not told meanwhile"), _holds()
        ),
        CAUSED,
        _table(("alarm", "hidden by", "that is about", "also while that is pending", "only"), _causes()),
        "## What is told\n\nAt each event, the first row that is true, unless something holds it back.",
        _table(("told", "condition", "was told before", "only", "also while"), map(_telling, TELLINGS)),
        "## Words\n\nHow the list of alarms says a state; the first that is true.",
        _table(("state", "when"), _words()),
    )
    return "\n\n".join(parts)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    columns = list(head)
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _word(condition: Condition) -> str:
    return condition.name.lower()


def _row(row: Row) -> tuple[str, ...]:
    before = ", ".join(map(_word, row.before))
    return before, row.event.value, _word(row.after), "" if row.happens is None else row.happens.value


def _holds() -> Iterator[tuple[str, ...]]:
    begins = {hold: event.value for event, hold in BEGINS.items()}
    ends = {hold: event.value for event, hold in ENDS.items()}
    for hold in Hold:
        not_told = ", ".join(told.value for told in HOLDS_BACK[hold])
        yield hold.value, *_LETTERS[hold], begins[hold], ends[hold], not_told


def _causes() -> Iterator[tuple[str, ...]]:
    for alarm, causes in CAUSES.items():
        for cause in causes:
            late = cause.late_s
            only = "" if late is None else "begun before that opened"
            only += f", or {late:g} s after for the same tenant" if late else ""
            yield alarm, cause.rule, cause.relation.value, "yes" if cause.is_early else "", only


def _telling(telling: Telling) -> tuple[str, ...]:
    only = [] if telling.at is None else [f"when it {telling.at.value}"]
    if isinstance(telling.at, Event):
        only = [f"at: {telling.at.value}"]
    only += ["graver than was told"] if telling.is_graver else []
    only += ["unacknowledged"] if telling.is_unacknowledged else []
    where = ", ".join(map(_word, telling.conditions))
    was_told = {True: "yes", False: "no", None: ""}[telling.was_told]
    despite = ", ".join(hold.value for hold in telling.despite)
    return telling.told.value, where, was_told, ", ".join(only), despite


def _words() -> Iterator[tuple[str, str]]:
    for hold in BY_PEOPLE:
        yield f"active, {hold.value}", f"active, returning or unseen, {hold.value}, not hidden by its cause"
    yield "active, acknowledged", "somebody has acknowledged it"
    yield "active, suppressed", "hidden by its cause"
    yield "active, unacknowledged", "people were told, and nobody has acknowledged it"
    yield (
        "returned, unacknowledged",
        "ISA-18.2 D: the rule asks for an acknowledgement, and nobody has given it",
    )
    yield "normal", "otherwise"
