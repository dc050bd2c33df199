"""What a broker of a site can and cannot do: measured, and what to set where it cannot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from collector.continuity.keeping import MARGIN
from collector.decode.registry import pace_s, topics_of
from collector.mqtt.connection import Lost, Refused
from collector.mqtt.probe import Heard, Queue, in_either_version, listen, measure_queue
from collector.mqtt.versions import NAMES
from facility.sitefile.tables import BrokerTable
from megawatch.cli.outputs import BrokerHeard, BrokerMeasured, BrokerQueue
from megawatch.run.clock import SteadyClock
from megawatch.site.folder import SiteFolder

LEAST_LISTENED_S: Final = 5.0
"""A bus is listened to for at least so long [s]."""
_AT_MOST_ONCE: Final = (
    "asked for quality of service 0: what is said while we are away is gone, and a tenant is UNKNOWN until"
    " each point is heard again; ask for 1"
)
OUTLAST_S: Final = 3_600
"""How long a break is that a queue should outlast [s] (our choice)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerExam:
    """What was found of a broker.

    Attributes:
        name: What it is called.
        mqtt: The version of MQTT that it speaks; "" where it was not reached.
        qos: Quality of service that the site file asks for, 0 to 2.
        said: What the site file says that its queue holds, None for nothing.
        heard: What was heard; None where it was not reached.
        queue: What it keeps; None where it was not reached.
        fault: Why it was not reached, "" where it was.
    """

    name: str
    mqtt: str = ""
    qos: int = 1
    said: int | None = None
    heard: Heard | None = None
    queue: Queue | None = None
    fault: str = ""

    @property
    def is_fine(self) -> bool:
        """Whether we can read, and nothing that the site file says of it is wrong."""
        return self.heard is not None and self.heard.messages > 0 and not self._says_too_much

    @property
    def _says_too_much(self) -> bool:
        queue = self.queue
        return (
            queue is not None
            and not queue.fault
            and queue.kept < queue.published
            and (self.said or 0) > queue.kept
        )

    def document(self) -> BrokerMeasured:
        """Return it as it is printed as JSON."""
        return {
            "name": self.name,
            "is_fine": self.is_fine,
            "mqtt": self.mqtt,
            "heard": None if self.heard is None else _heard(self.heard),
            "queue": None if self.queue is None else _queue(self.queue),
            "queued_messages": self.said,
            "fault": self.fault,
        }

    def lines(self) -> list[str]:
        """Return it as text."""
        if self.heard is None or self.queue is None:
            return [f"broker {self.name}: not measured: {self.fault}"]
        lines = [f"broker {self.name}: MQTT {self.mqtt}", f"  lets us read: {_reading(self.heard)}"]
        return lines + [f"  {line}" for line in self._keeping(self.queue)]

    def _keeping(self, queue: Queue) -> list[str]:
        if self.qos == 0:
            return [_AT_MOST_ONCE]
        if queue.fault:
            return [f"keeps for us while we are away: NOT KNOWN: {queue.fault}"]
        rate = self.heard.rate_per_s if self.heard is not None else 0.0
        held = f", {queue.kept / rate / MARGIN:,.0f} s at twice this rate" if rate else ""
        if queue.kept == queue.published:
            kept = f"at least {queue.kept} messages{held}"
        else:
            which = "first" if queue.are_oldest else "last"
            kept = f"the {which} {queue.kept} of {queue.published} messages{held}; the others are dropped"
        lines = [
            f"keeps for us while we are away: {kept}",
            f"sends before we acknowledge: {queue.unacknowledged} messages",
        ]
        if self._says_too_much:
            wrong = f"queued_messages = {self.said} is MORE than it keeps"
            lines.append(f"[[broker]] {wrong}: set {queue.kept}, or let it keep more")
        elif self.said is None:
            lines.append(f"set under [[broker]]: queued_messages = {queue.kept}")
        wanted = round(rate * MARGIN * OUTLAST_S)
        if queue.kept < queue.published and wanted > queue.kept:
            lines.append(
                f"to lose nothing in an hour without us let it keep {wanted} messages (docs/broker.md)"
            )
        return lines


def _heard(heard: Heard) -> BrokerHeard:
    return {
        "messages": heard.messages,
        "live": heard.live,
        "seconds": heard.seconds,
        "rate_per_s": heard.rate_per_s,
    }


def _queue(queue: Queue) -> BrokerQueue:
    return {
        "published": queue.published,
        "kept": queue.kept,
        "are_oldest": queue.are_oldest,
        "unacknowledged": queue.unacknowledged,
        "fault": queue.fault,
    }


def _reading(heard: Heard) -> str:
    if not heard.messages:
        return (
            f"NO: nothing arrived within {heard.seconds:g} s. Nothing is sent, or its access list lets us"
            " subscribe and not read, or topics under [[broker]] name something else"
        )
    live = f"{heard.live} of them not retained, {heard.rate_per_s:.1f} a second"
    return f"yes: {heard.messages} messages within {heard.seconds:g} s, {live}"


async def examine_broker(site: SiteFolder, table: BrokerTable) -> BrokerExam:
    """Measure what a broker does for us; listens until each publisher must have spoken.

    Args:
        site: The site's files.
        table: The broker's table.
    """
    clock, address = SteadyClock(), site.address(table, "doctor")
    topics = [(topic, table.qos) for topic in topics_of(table, site.file.site.name)]
    seconds = max(LEAST_LISTENED_S, round(pace_s(table) + 2))

    async def measure(version: int) -> tuple[Heard, Queue]:
        heard = await listen(address, topics, seconds, version=version, clock=clock)
        return heard, await measure_queue(address, version=version, clock=clock)

    try:
        version, (heard, queue) = await in_either_version(measure)
    except (Refused, Lost) as error:
        return BrokerExam(name=table.name, said=table.queued_messages, fault=error.cause)
    return BrokerExam(
        name=table.name,
        mqtt=NAMES[version],
        qos=table.qos,
        said=table.queued_messages,
        heard=heard,
        queue=queue,
    )
