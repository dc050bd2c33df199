"""The monitor as a program with a part that fails while a file is there: `faultymonitor SITE PART FILE`.

Its bounds and pauses are short. PART is `collector` (of the broker north, which raises), `rules` (which block
their thread) or `none`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from collector.decode.base import Gathered
from collector.mqtt.message import Messages
from collector.service import Collector
from megawatch.cli.main import main
from megawatch.run import monitor, problems, self_monitoring, supervisor
from rules.engine.service import RulesService
from rules.notify import http
from store.journal.intake import Intake

SHORT_S: Final = 2.0


def collector(fault: Path) -> None:
    """Let the collector of the north raise."""
    decode = Collector._decode

    def struck(self: Collector, taken: list[Messages]) -> Coroutine[Any, Any, tuple[Gathered, Intake]]:
        if self.name == "north" and fault.exists():
            raise RuntimeError("a fault")
        return decode(self, taken)

    Collector._decode = struck  # type: ignore[method-assign]


def rules(fault: Path) -> None:
    """Let rules block their thread."""
    step = RulesService.step

    def struck(self: RulesService, now_ms: int) -> None:
        while fault.exists():
            time.sleep(0.05)
        step(self, now_ms)

    RulesService.step = struck  # type: ignore[method-assign]


def none(_: Path) -> None:
    """Let nothing fail."""


FAULTS: Final[dict[str, Callable[[Path], None]]] = {"collector": collector, "rules": rules, "none": none}


if __name__ == "__main__":
    site, part, file = sys.argv[1:]
    FAULTS[part](Path(file))
    monitor.RULES_BOUND_S = SHORT_S  # type: ignore[misc]
    supervisor.STEADY_S = SHORT_S  # type: ignore[misc]
    http.TIMEOUT_S = SHORT_S  # type: ignore[misc]
    self_monitoring.ON_DELAY_MS = 500  # type: ignore[misc]
    self_monitoring.OFF_DELAY_MS = 500  # type: ignore[misc]
    problems.AWAY_MS = 500  # type: ignore[misc]
    main(["run", site])
