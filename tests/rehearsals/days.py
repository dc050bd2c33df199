"""A random day through the whole monitor, held against the judge."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from collector.continuity.keeping import Keeping
from collector.mqtt.message import Message
from facility.instants import to_iso
from facility.sitefile.reader import SiteFile, read_site
from rules.engine.engine import Step
from rules.engine.past import LASTING_MS
from rules.registry import RULES
from simulators.truth.episodes import Duty, Episode, Promise, Sight
from simulators.truth.judge import judge
from simulators.truth.terms import read_agreements
from testing.randomdays.bounds import Bounds, false_certainties
from testing.randomdays.compare import DOUBTS, PAGES, Raised, differences, put_off
from testing.randomdays.day import SETTLES_S, SHORT_S, TENANTS, WAITS_S, random_day
from testing.randomdays.sight import settled_sights, sights
from testing.randomdays.trouble import (
    Stretch,
    Trouble,
    TroubleKind,
    breaks_of,
    shaken,
    stretches_of,
    troubles_of,
)
from testing.randomdays.wire import RandomWire, Sent
from testing.rehearsal.perform import Audience
from testing.rehearsal.rehearsal import Alarm, Heard, Rehearsal, as_message

JUDGED: Final = frozenset({*PAGES.values(), *(rule for rules in DOUBTS.values() for rule in rules)})
"""Rules that say whether a contract was kept, which the judge knows."""
UNUSED: Final = tuple(sorted({rule.name for rule in RULES} - JUDGED))
"""All other rules: they say nothing that the judge knows, and without them a day takes half the time."""

SETTLED_MS: Final = (2 * WAITS_S + SETTLES_S) * 1_000
"""By when after its end all of a block has come and is judged, break upon silence [ms]."""


@dataclass(slots=True)
class Day:
    """What a day came to.

    Attributes:
        troubles: What went wrong on it.
        episodes: What the judge found.
        heard: What the monitor said.
        wrong: Where the two disagree, one sentence each.
    """

    troubles: tuple[Trouble, ...]
    episodes: list[Episode]
    heard: Heard
    wrong: list[str] = field(default_factory=list)

    def duties(self) -> Counter[str]:
        """Count the episodes by clause and duty."""
        return Counter(f"{episode.clause} {episode.duty}" for episode in self.episodes)


def wire_of(seed: int) -> str:
    """Return what is spoken on the day of a seed: every fourth speaks in rack documents."""
    return "rack-documents" if seed % 4 == 3 else "dsx"  # the fourth of each four


def live_through(
    seed: int,
    *,
    seconds: int,
    rules: str = "",
    kinds: Sequence[TroubleKind] | None = None,
    unused: Sequence[str] = UNUSED,
    told: Callable[[SiteFile, Step], None] | None = None,
) -> Day:
    """Let a random day happen, and hold the monitor against the judge.

    Args:
        seed: What the day follows from.
        seconds: How long it lasts [s].
        rules: Further parameters of rules, which make the monitor another than it should be.
        kinds: What goes wrong on it beyond silence and wrong values; None for chance.
        unused: Names of the rules that the monitor does not have.
        told: Is given the site and every step of the engine.
    """
    wire = wire_of(seed)
    made = random_day(seed, seconds=seconds, wire=wire)
    troubles = troubles_of(made, wire, kinds)
    made = shaken(made, troubles)
    sound = RandomWire(made, wire, troubles)
    zone, agreements = read_agreements(made.site_text)
    seen = sights(sound.course, TENANTS, sound.lag_s, sound.apart_s)
    settled = settled_sights(sound.course, TENANTS, sound.lag_s, sound.apart_s)
    promise = Promise(lag_ms=sound.lag_s * 1_000, settled_ms=SETTLED_MS)
    breaks = list(breaks_of(troubles))
    away = [
        (made.begin_ms + item.from_s * 1_000, made.begin_ms + item.to_s * 1_000)
        for item in breaks
        if not item.kind.is_judging
    ]
    stretches = stretches_of(seconds, troubles)
    last = len(stretches) - 1  # a clock that is set as its machine wakes is right before and after
    parts = [
        [
            episode
            for tenant, agreement in agreements.items()
            for episode in judge(
                tenant,
                agreement,
                _part(seen[tenant], stretch),
                zone,
                promise,
                _part(settled[tenant], stretch),
            )
        ]
        for stretch in stretches
    ]
    parts = [
        _of_clock(put_off(part, away, promise.lag_ms), made.begin_ms, stretches, clock)
        for clock, part in enumerate(parts)
    ]
    without = "".join(f"{rule}.enabled = false\n" for rule in unused)
    file = read_site(f"{made.site_text}[rules]\n{without}{rules}")
    said = defaultdict[tuple[int, str], list[Bounds]](list)

    def note(step: Step) -> None:
        if told is not None:
            told(file, step)
        for draw in () if step.is_settled else step.draws:
            bounds = Bounds(at_ms=step.at_ms, low=draw.low_milliwatts, high=draw.high_milliwatts)
            said[min(rehearsal.clock, last), draw.tenant].append(bounds)

    rehearsal = Rehearsal(file, begin_ms=made.begin_ms - 3_000, gather_ms=50, told=note)
    rehearsal.hear(_messages(sound.opening()), made.begin_ms - 1_000)
    keeping = Keeping(file.brokers[0].queued_messages)
    audience = Audience(rehearsal, breaks, begin_ms=made.begin_ms, qos=1, keeping=keeping)
    for second, sent in enumerate(sound.seconds()):
        audience.hear(_messages(sent), second)
    if any(found.to_s >= seconds for found in breaks):
        audience.hear([], seconds)  # whatever was cut comes back, and what was kept is read
    end_ms = made.begin_ms + seconds * 1_000
    _settle(rehearsal, end_ms, end_ms + SETTLED_MS)
    wrong = _differences(parts, rehearsal, made.begin_ms, stretches)
    if any(text.startswith("untold") for text in wrong):
        # What is not over yet is told once it has lasted for a minute.
        _settle(rehearsal, end_ms + LASTING_MS, end_ms + SETTLED_MS + LASTING_MS)
        wrong = _differences(parts, rehearsal, made.begin_ms, stretches)
    for clock, stretch in enumerate(stretches):
        for tenant in TENANTS:
            sight = _part(seen[tenant], stretch)
            wrong += false_certainties(tenant, agreements.get(tenant), sight, said[clock, tenant])
    episodes = [episode for part in parts for episode in part]
    return Day(troubles, episodes, rehearsal.heard, wrong)


def _part(sight: Sight, stretch: Stretch) -> Sight:
    """Return what could be known within a stretch, by the monitor's clock."""
    return sight.part(stretch.from_s, stretch.to_s, stretch.clock_ms(sight.begin_ms))


def _of_clock(
    episodes: list[Episode], begin_ms: int, stretches: Sequence[Stretch], clock: int
) -> list[Episode]:
    """Return the episodes of a stretch as they are where others are before and after it.

    What lasts as the clock is set goes on to last; a doubt need not be told by then, for it is another one
    afterwards; and a block that ends just then is of no clock.
    """
    stretch, is_last = stretches[clock], clock == len(stretches) - 1
    from_ms = stretch.clock_ms(begin_ms)
    end_ms = from_ms + (stretch.to_s - stretch.from_s) * 1_000
    found = []
    for episode in episodes:
        if episode.duty is Duty.NONE and clock and episode.from_ms == from_ms:
            found.append(replace(episode, earliest_ms=from_ms))
        elif is_last or episode.earliest_ms < end_ms:
            is_put_off = not is_last and episode.duty is Duty.DOUBT and episode.told_by_ms > end_ms
            found.append(replace(episode, duty=Duty.NONE) if is_put_off else episode)
    return found


def _differences(
    parts: Sequence[list[Episode]], rehearsal: Rehearsal, begin_ms: int, stretches: Sequence[Stretch]
) -> list[str]:
    """Return where monitor and judge disagree, stretch by stretch."""
    wrong: list[str] = []
    for clock, episodes in enumerate(parts):
        wrong += differences(episodes, _raised(rehearsal, episodes, begin_ms, stretches, clock))
    return wrong


def _settle(rehearsal: Rehearsal, at_ms: int, latest_ms: int) -> None:
    """Let time pass until a moment is settled."""
    settled = rehearsal.judging.settled
    while (settled.tick_ms or 0) < at_ms and rehearsal.now_ms < latest_ms:
        rehearsal.hear([], rehearsal.now_ms + 5_000)


def _raised(
    rehearsal: Rehearsal,
    episodes: list[Episode],
    begin_ms: int,
    stretches: Sequence[Stretch],
    clock: int,
) -> list[Raised]:
    """Return the alarms that stand in a stretch, by its clock."""
    stretch, last = stretches[clock], len(stretches) - 1
    from_ms = stretch.clock_ms(begin_ms)
    end_ms = from_ms + (stretch.to_s - stretch.from_s) * 1_000
    found = []
    for alarm in rehearsal.heard.alarms:
        opened, told, returned = (
            min(each, last) for each in (alarm.opened_clock, alarm.told_clock, alarm.returned_clock)
        )
        stands = opened <= clock and (alarm.returned_ms is None or returned >= clock)
        is_after = opened == clock == last and alarm.opened_ms >= end_ms
        if not stands or (is_after and not _is_owed(alarm, episodes)):
            continue
        told_ms = alarm.told_ms
        if told_ms is not None:
            told_ms += (stretch.ahead_s - stretches[told].ahead_s) * 1_000
        found.append(
            Raised(
                rule=alarm.rule,
                subject=alarm.subject,
                opened_ms=from_ms if opened < clock else alarm.opened_ms,
                told_ms=told_ms,
                returned_ms=alarm.returned_ms if returned == clock else None,
                is_earlier=opened < clock,
            )
        )
    return found


def _is_owed(alarm: Alarm, episodes: list[Episode]) -> bool:
    """Tell whether an alarm after the end of a day is one that the judge knows of.

    He sees no terms of what comes after the last second, which may close a block there. That a block cannot
    be verified may be told after it closed, once its tenant is not starting any more.
    """
    return any(_is_of(alarm, episode) for episode in episodes if episode.tenant == alarm.subject)


def _is_of(alarm: Alarm, episode: Episode) -> bool:
    """Tell whether an alarm says what an episode asks for, in its time."""
    if alarm.rule == PAGES.get(episode.clause):
        return episode.earliest_ms <= alarm.opened_ms <= episode.latest_ms
    is_doubt = episode.duty is Duty.DOUBT and alarm.rule in DOUBTS.get(episode.clause, ())
    return is_doubt and episode.earliest_ms <= alarm.opened_ms <= episode.told_by_ms


def _messages(sent: list[Sent]) -> list[Message]:
    return [
        as_message(
            item.message.topic,
            item.message.payload,
            item.at_ms,
            qos=1,
            is_retained=item.message.is_retained,
        )
        for item in sent
    ]


def main(arguments: list[str]) -> int:
    """Run one seed alone and print what the judge found, what the monitor said, and where they disagree."""
    seed = int(arguments[0])
    seconds = int(arguments[1]) if len(arguments) > 1 else SHORT_S
    day = live_through(seed, seconds=seconds)
    lines = [f"seed {seed}, {wire_of(seed)}, {seconds} s"]
    lines += [
        f"trouble  {t.kind} from {t.from_s} to {t.to_s} s, row {t.row}, {len(t.racks)} racks, {t.amount:g}"
        for t in day.troubles
    ]
    lines += [
        f"judge    {to_iso(e.earliest_ms)} to {to_iso(e.latest_ms)} {e.duty} for {e.clause} of {e.tenant}: "
        f"{float(e.peak) / 1e6:.3f} of {float(e.allowed) / 1e6:.3f} kW"
        for e in sorted(day.episodes, key=lambda episode: (episode.tenant, episode.earliest_ms))
    ]
    lines += [
        f"monitor  {to_iso(a.opened_ms)} {a.rule} of {a.subject}: {a.value:.3f} of {a.limit:.3f}, "
        f"over {'never' if a.returned_ms is None else to_iso(a.returned_ms)}"
        for a in sorted(day.heard.alarms, key=lambda alarm: (alarm.subject, alarm.opened_ms))
    ]
    sys.stdout.write("\n".join([*lines, *(day.wrong or ["they agree"])]) + "\n")
    return 1 if day.wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
