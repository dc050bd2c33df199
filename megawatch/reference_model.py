"""A model of the whole way of an alarm for Spin, made from the table of its life.

What the table says is generated: what is judged, what holds back, what is told. What stands around it is
written here: a journal whose last entries are judged again after a crash, a ledger that keeps rows and
notices by their keys, an outbox that delivers at least once, a receiver that knows a key again, people who
shelve and acknowledge at any moment. `make spin` lets Spin go through every interleaving.

Left out is what would only multiply states: of several holds by people that hold the same back one stands for
all, of several events that do the same in a condition one does, and there are two episodes. Of what an alarm
hides there is one that makes it graver, which stands until the alarm is over and which people hold back or
not at any moment; where two episodes are searched, they never do, and it is over at once. What would be
judged again after a crash is forgotten after the last one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from rules.alarms.life import (
    ACKNOWLEDGEABLE,
    BEGINS,
    BY_PEOPLE,
    CONDITIONS,
    ENDS,
    HOLDS_BACK,
    TELLINGS,
    Condition,
    Event,
    Happens,
    Hold,
    Row,
    Telling,
    Told,
)

EPISODES: Final = 2
WINDOW: Final = 2
"""How many entries may be judged again after a crash."""
KEYS: Final = (Told.OPENED, Told.WORSENED, Told.RETURNED)
"""What is told under a key of its own, in its order; what is repeated has the key of the opening."""
OF_ITS_OWN: Final = (Event.CARRIES,)
"""What no other event stands for that does the same to the condition."""

FRAME: Final = """\
/* Made from rules/alarms/life.py by `python -m megawatch.reference`: change the code instead.
 *
 * An alarm's whole way: judged, kept, told, received; with crashes, holds and acknowledgements at any moment.
 * `make spin` checks it; megawatch/reference_model.py says what stands for what.
 */

#define EPISODES @EPISODES@
#define WINDOW @WINDOW@ /* entries that are judged again after a crash, at most */
#ifndef LAST
#define LAST EPISODES /* episodes that there are */
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef FAULTS
#define FAULTS 1
#endif

/* The table ---------------------------------------------------------------------------- */

@CODES@

/* What is judged of a condition; `happens` says what becomes of the alarm. */
inline judge(what, under, number, event) {
    happens = NOTHING;
    if
@CONDITIONS@
    :: else
    fi;
    if
    :: event == HIDDEN -> under = true
    :: event == CAUSE_OVER -> under = false
    :: else
    fi;
    if
    :: happens == OPENS -> number++
    :: else
    fi
}

/* What is told of an episode at an event, unless something holds it back. */
inline tell(e, event) {
    if
@TELLINGS@
    :: else
    fi
}

/* What is kept -------------------------------------------------------------------------- */

/* Of the engine, as it runs, as its snapshot has it, and as one would be that never crashed. */
byte condition, saved_condition, true_condition;
bool under_cause, saved_under_cause, true_under_cause;
byte episode, saved_episode, true_episode;

/* The entries since the snapshot, and where each of them leads in truth. */
byte entry[WINDOW], leads[WINDOW];
byte entries, place;
byte happens;

/* The ledger: a row and three notices for each episode, what is held back, what is acknowledged. */
byte row[EPISODES];
bool told[EPISODES], graver[EPISODES], acknowledged[EPISODES], escalated[EPISODES];
bool covered[EPISODES]; /* hidden by the cause beside which it opened */
bool held;
#if LAST < EPISODES
bool carries[EPISODES]; /* hides what is graver than it is by itself */
bool carried_held; /* and people hold that back */
#define CARRIED(e, event) (carries[e] && !carried_held)
#else
#define CARRIED(e, event) (event == CARRIES)
#endif
byte notice[EPISODES * 3];
#ifdef ACKNOWLEDGING
byte kept; /* entries since the snapshot of which the ledger has the changes */
bool in_hand[EPISODES]; /* acknowledged since it worsened last, in truth */
#endif

/* The outbox: what is on its way, and whether it was accepted; what was given up and comes late. */
byte flying, late;
bool accepted;
bool seen[EPISODES * 3];
byte crashes, faults;

inline put(e, what, event) {
    /* What people hold back is not told, but for what it hides, and but for its end. */
    assert(!held || event == CARRIES_UNTOLD || what == RETURNED);
    if
    :: notice[(e) * 3 + what] == NONE -> notice[(e) * 3 + what] = WAITING
    :: else /* the key is there already */
    fi
}

/* What stands was told, or there is a reason why not; what was told has its notice, and its end one too. */
inline check(e) {
    assert(row[e] < ACTIVE || row[e] == OVER || told[e] || covered[e] || held);
    assert(told[e] == (notice[(e) * 3 + OPENED] != NONE || notice[(e) * 3 + WORSENED] != NONE));
    assert((told[e] && row[e] == OVER) == (notice[(e) * 3 + RETURNED] != NONE));
    assert(!told[e] || !graver[e] || held);
    assert(told[e] || !escalated[e]);
#if LAST < EPISODES
    /* Who holds back what is mild has not held back what it hides. */
    assert(!CARRIED(e, 0) || covered[e] || (told[e] && !graver[e]))
#endif
}

/* Tells what nobody holds back of what an episode hides, where people hold that episode back. */
inline tell_carried(e, event) {
    if
    :: CARRIED(e, event) && held && (!told[e] || graver[e]) -> tell(e, CARRIES_UNTOLD)
#ifdef ACKNOWLEDGING
        ;
        if
        :: !covered[e] -> acknowledged[e] = false; in_hand[e] = false; escalated[e] = false
        :: else
        fi
#endif
    :: else
    fi
}

/* Saves what an entry brought, in one transaction: a row that is over stays over. */
inline save(e, event) {
#ifdef ACKNOWLEDGING
    /* An acknowledgement ends where the alarm worsens; what is judged again ends none that came later. */
    if
    :: happens == WORSENS && row[e] != OVER && place >= kept -> in_hand[e] = false
    :: else
    fi;
    if
    :: happens == WORSENS && row[e] != OVER && place >= kept -> acknowledged[e] = false; escalated[e] = false
    :: else
    fi;
    assert(acknowledged[e] == in_hand[e]);
#endif
    if
    :: happens == OPENS -> covered[e] = under_cause
    :: happens != OPENS && condition == ACTIVE -> covered[e] = covered[e] && under_cause
    :: else
    fi;
    if
    :: row[e] == OVER
    :: row[e] != OVER && happens == RETURNS -> row[e] = OVER
    :: row[e] != OVER && happens != RETURNS && condition >= ACTIVE -> row[e] = condition
    :: else
    fi;
    if
    :: happens == WORSENS && row[e] != OVER -> graver[e] = told[e] && !covered[e]
    :: else
    fi;
    tell(e, event);
#if LAST < EPISODES
    if
    :: row[e] == OVER -> carries[e] = false
    :: row[e] != OVER && event == CARRIES -> carries[e] = true
    :: else
    fi;
#endif
    tell_carried(e, event);
    assert(!CARRIED(e, event) || row[e] == OVER || covered[e] || (told[e] && !graver[e]));
    if
    :: row[e] == OVER -> graver[e] = false; covered[e] = false
    :: else
    fi;
    check(e)
}

/* Where a judge is, as one number. */
#define WHERE(what, under, number) ((number) * 16 + (what) * 2 + (under))

/* After the last crash nothing is judged again, and what would be needed for that makes no difference. */
inline forget() {
    if
    :: crashes == CRASHES -> saved_condition = NORMAL; saved_under_cause = false; saved_episode = 0
    :: else
    fi
}

inline receive(key) {
    /* A key that is known is the same message. Nothing of an alarm comes before its opening, unless that was
       held back and it is told first for what it hides. */
    assert((key) % 3 == OPENED || seen[(key) - (key) % 3] || notice[(key) - (key) % 3] == NONE);
    assert((key) % 3 != RETURNED || seen[(key) - RETURNED] || seen[(key) - RETURNED + WORSENED]);
    seen[key] = true
}

/* Who does what ------------------------------------------------------------------------- */

active proctype monitor() {
    do
    /* Something is heard, and is in the journal. */
    :: atomic { entries < WINDOW ->
        if
@HEARD@
        fi;
        judge(true_condition, true_under_cause, true_episode, entry[entries]);
        leads[entries] = WHERE(true_condition, true_under_cause, true_episode);
        entries++;
        happens = NOTHING
       }
    /* The next entry is judged, and what it brings is saved. A crash in between is one before. */
    :: d_step { place < entries ->
        judge(condition, under_cause, episode, entry[place]);
        /* However often it is judged: one key an episode, and the same history. */
        assert(WHERE(condition, under_cause, episode) == leads[place]);
        if
        :: episode > 0 -> save(episode - 1, entry[place])
        :: else
        fi;
        happens = NOTHING;
        if
        :: crashes == CRASHES -> entry[place] = 0; leads[place] = 0
        :: else
        fi;
        place++;
#ifdef ACKNOWLEDGING
        if
        :: place > kept -> kept = place
        :: else
        fi
#endif
       }
    :: d_step { entries > 0 && place == entries ->
        saved_condition = condition;
        saved_under_cause = under_cause;
        saved_episode = episode;
        forget();
        entry[0] = 0; entry[1] = 0; leads[0] = 0; leads[1] = 0;
        entries = 0;
#ifdef ACKNOWLEDGING
        kept = 0;
#endif
        place = 0
       }
    :: d_step { crashes < CRASHES ->
        crashes++;
        condition = saved_condition;
        under_cause = saved_under_cause;
        episode = saved_episode;
        place = 0;
        flying = 0;
        accepted = false;
        forget()
       }
    od
}

active proctype people() {
    do
    :: d_step { held = !held;
@EACH_HELD@
       }
#if LAST < EPISODES
    :: d_step { carried_held = !carried_held;
@EACH_CARRIED@
       }
#endif
#ifdef ACKNOWLEDGING
@ACKNOWLEDGE@
#endif
    od
}

#ifdef ACKNOWLEDGING
/* What nobody acknowledges in time is told on the next route, once. */
active proctype timer() {
    do
@ESCALATE@
    od
}
#endif

active proctype outbox() {
    do
    /* The first of what waits of an alarm; an attempt is made anew after a crash. */
@NEXT@
    :: d_step { flying > 0 && !accepted -> receive(flying - 1); accepted = true }
    :: d_step { flying > 0 && accepted -> notice[flying - 1] = DELIVERED; flying = 0; accepted = false }
    /* It was not accepted; it was, and the answer is lost; it comes late, after it was given up. */
    :: d_step { flying > 0 && faults < FAULTS -> faults++; flying = 0; accepted = false }
    :: d_step { flying > 0 && !accepted && faults < FAULTS && late == 0 ->
        faults++; late = flying; flying = 0
       }
    od
}

active proctype network() {
    do
    :: d_step { late > 0 -> receive(late - 1); late = 0 }
    od
}

/* Every end of a told alarm is told, and so is that it opened or worsened: in the end. */
@LTL@
"""


def alarm_model(
    *,
    conditions: Sequence[Row] = CONDITIONS,
    tellings: Sequence[Telling] = TELLINGS,
    holds_back: Mapping[Hold, tuple[Told, ...]] = HOLDS_BACK,
) -> str:
    """Return the model in Promela.

    Args:
        conditions: What is judged.
        tellings: What people are told.
        holds_back: What each hold keeps from being told.

    Raises:
        ValueError: Where the holds of people differ: then one cannot stand for all.
    """
    by_people = {holds_back[hold] for hold in BY_PEOPLE}
    if len(by_people) > 1:
        raise ValueError(f"expected that people hold back the same in each way, found {by_people}")
    exempt = {frozenset(telling.despite) & {*BY_PEOPLE} for telling in tellings}
    if exempt - {frozenset(), frozenset(BY_PEOPLE)}:
        raise ValueError(f"expected that what people hold back is told despite all or none, found {exempt}")
    parts = {
        "EPISODES": str(EPISODES),
        "WINDOW": str(WINDOW),
        "CODES": "\n".join(_codes()),
        "CONDITIONS": "\n".join(map(_judged, conditions)),
        "TELLINGS": "\n".join(_told(telling, holds_back) for telling in tellings if telling.told in KEYS),
        "HEARD": "\n".join(_heard(conditions, tellings)),
        "EACH_HELD": ";\n".join(
            f"        tell({e}, UNSHELVE); tell_carried({e}, UNSHELVE); check({e})" for e in range(EPISODES)
        ),
        "EACH_CARRIED": ";\n".join(
            f"        tell_carried({e}, UNSHELVE); check({e})" for e in range(EPISODES)
        ),
        "ACKNOWLEDGE": "\n".join(_people()),
        "ESCALATE": "\n".join(_timer()),
        "NEXT": "\n".join(_next()),
        "LTL": "\n".join(_always()),
    }
    text = FRAME
    for name, part in parts.items():
        text = text.replace(f"@{name}@", part)
    return text


def _codes() -> Iterator[str]:
    for condition in Condition:
        yield f"#define {condition.name} {condition.value}"
    yield f"#define OVER {len(Condition)} /* of a row: the alarm has returned */"
    yield "#define NOTHING 0"
    for code, happens in enumerate(Happens, 1):
        yield f"#define {happens.name} {code}"
    for code, event in enumerate(Event):
        yield f"#define {event.name} {code}"
    for code, told in enumerate(KEYS):
        yield f"#define {told.name} {code}"
    yield "#define NONE 0\n#define WAITING 1\n#define DELIVERED 2"


def _any(name: str, conditions: Sequence[Condition]) -> str:
    each = " || ".join(f"{name} == {condition.name}" for condition in conditions)
    return f"({each})" if len(conditions) > 1 else each


def _judged(row: Row) -> str:
    happens = f"; happens = {row.happens.name}" if row.happens is not None else ""
    guard = f"{_any('what', row.before)} && event == {row.event.name}"
    return f"    :: {guard} -> what = {row.after.name}{happens}"


def _told(telling: Telling, holds_back: Mapping[Hold, tuple[Told, ...]]) -> str:
    """Return a row of telling; it is told once, when it is put among what waits."""
    rows = [Condition.NORMAL if telling.conditions == (Condition.NORMAL,) else c for c in telling.conditions]
    guard = [_any("row[e]", rows) if rows != [Condition.NORMAL] else "row[e] == OVER"]
    guard += [] if telling.was_told is None else ["told[e]" if telling.was_told else "!told[e]"]
    guard += ["graver[e]"] if telling.is_graver else []
    name = "happens" if isinstance(telling.at, Happens) else "event"
    guard += [f"{name} == {telling.at.name}"] if telling.at is not None else []
    holding = {hold for hold, held in holds_back.items() if telling.told in held} - {*telling.despite}
    guard += ["!covered[e]"] if Hold.CAUSE in holding else []
    guard += ["!held"] if BY_PEOPLE[0] in holding else []
    then = [f"put(e, {telling.told.name}, event)"]
    then += ["told[e] = true"] if telling.told is not Told.RETURNED and not telling.was_told else []
    then += ["graver[e] = false"] if telling.told is not Told.RETURNED else []
    return f"    :: {' && '.join(guard)} -> {'; '.join(then)}"


def _heard(conditions: Sequence[Row], tellings: Sequence[Telling]) -> Iterator[str]:
    """Yield what may be heard in each condition: of events that do the same there the first."""
    told_at = {*OF_ITS_OWN, *(telling.at for telling in tellings)}
    heard: dict[Event, list[Condition]] = {row.event: [] for row in conditions}
    done = set[tuple[Condition, Condition, Happens | None, Event | None]]()
    for row in conditions:
        for before in row.before:
            does = (before, row.after, row.happens, row.event if row.event in told_at else None)
            if does not in done:
                done.add(does)
                heard[row.event].append(before)
    for event, befores in heard.items():
        guards = [_any("true_condition", [one for one in befores if one is not Condition.NORMAL])]
        if Condition.NORMAL in befores:
            guards.append("(true_condition == NORMAL && true_episode < LAST)")
        if befores:
            yield f"        :: {' || '.join(filter(None, guards))} -> entry[entries] = {event.name}"
    for event, hold in (*BEGINS.items(), *ENDS.items()):
        if hold is Hold.CAUSE:
            is_there = "!" if event in BEGINS else ""
            yield f"        :: {is_there}true_under_cause -> entry[entries] = {event.name}"


def _people() -> Iterator[str]:
    """Yield how each episode is acknowledged: while it stands, and when it has returned and waits for it."""
    stands = " || ".join(f"row[{{e}}] == {condition.name}" for condition in ACKNOWLEDGEABLE)
    for e in range(EPISODES):
        guard = f"({stands.format(e=e)} || row[{e}] == OVER) && !acknowledged[{e}]"
        yield f"    :: d_step {{ {guard} -> acknowledged[{e}] = true; in_hand[{e}] = true }}"


def _timer() -> Iterator[str]:
    """Yield how each episode comes to the next route, by the row of what is repeated."""
    repeated = next(telling for telling in TELLINGS if telling.told is Told.REPEATED)
    for e in range(EPISODES):
        guard = f"{_any(f'row[{e}]', repeated.conditions)} && told[{e}] && !acknowledged[{e}] && !held"
        then = f"escalated[{e}] = true; check({e})"
        yield f"    :: d_step {{ {guard} && !escalated[{e}] -> {then} }}"


def _next() -> Iterator[str]:
    """Yield how each notice comes to be on its way: after what is told of its alarm before it."""
    for e in range(EPISODES):
        for k, told in enumerate(KEYS):
            before = "".join(f" && notice[{e * 3 + i}] != WAITING" for i in range(k))
            waits = f"notice[{e * 3 + k}] == WAITING{before}"
            yield f"    :: d_step {{ flying == 0 && {waits} -> flying = {e * 3 + k + 1} }} /* {told.value} */"


def _always() -> Iterator[str]:
    for e in range(EPISODES):
        over = f"row[{e}] == OVER && told[{e}]"
        yield f"ltl end_{e + 1}_is_told {{ [] (({over}) -> <> seen[{e * 3 + KEYS.index(Told.RETURNED)}]) }}"
        opened, worsened = (e * 3 + KEYS.index(told) for told in (Told.OPENED, Told.WORSENED))
        yield f"ltl opening_{e + 1}_is_told {{ [] (told[{e}] -> <> (seen[{opened}] || seen[{worsened}])) }}"
        made = f"notice[{worsened}] != NONE"
        yield f"ltl worsening_{e + 1}_is_told {{ [] ({made} -> <> seen[{worsened}]) }}"
