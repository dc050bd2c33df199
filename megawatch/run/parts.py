"""What runs in one process of the monitor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from collector.source import Source
from megawatch.run.acknowledging import AcknowledgementServer
from megawatch.run.canary import Canary
from megawatch.run.clock import SteadyClock
from megawatch.run.heartbeat import Heartbeat
from megawatch.run.self_monitoring import Distress
from megawatch.run.supervisor import Supervisor
from rules.engine.service import RulesService
from rules.notify.outbox import Outbox
from rules.notify.reminding import Reminder
from store.journal.journal import Journal
from store.ledger.ledger import Ledger
from store.shipping import Shipper


@dataclass(slots=True)
class Parts:
    """What runs.

    Attributes:
        clock: Gives wall time [ms] and monotonic time [s].
        sources: Each broker, or the database that is read.
        journal: The journal, where this process writes it.
        ledger: Alarms, outbox and cursors.
        rules: Judging, where it runs here.
        outbox: Telling, where it runs here.
        reminders: Say again what stands to receivers that forget, where the outbox runs here.
        heartbeat: Signs of life, where the site file asks for them and the outbox runs here.
        acknowledgements: Takes what comes back, likewise.
        canary: Proves that pages come through, likewise.
        distress: Telling of our own stores, where the outbox runs here.
        shipper: Writing to the history or a database, where it runs here.
        supervisor: Keeps the parts running, each by itself.
        makes: What makes each source anew.
        damaged_files: What was damaged and put aside, as it was looked for last.
        told_elsewhere: How many alarms that are not over were told on each route that the site file names no
            longer, as it was looked for last.
    """

    clock: SteadyClock
    ledger: Ledger
    supervisor: Supervisor
    sources: list[Source] = field(default_factory=list)
    journal: Journal | None = None
    rules: RulesService | None = None
    outbox: Outbox | None = None
    reminders: Sequence[Reminder] = ()
    heartbeat: Heartbeat | None = None
    acknowledgements: AcknowledgementServer | None = None
    canary: Canary | None = None
    distress: Distress | None = None
    shipper: Shipper | None = None
    makes: list[Callable[[], Source]] = field(default_factory=list)
    damaged_files: Sequence[Path] = ()
    told_elsewhere: Mapping[str, int] = field(default_factory=dict)

    def add(self, make: Callable[[], Source]) -> None:
        """Add a source of readings.

        Args:
            make: Makes it, now and whenever it failed.
        """
        self.makes.append(make)
        self.sources.append(make())
