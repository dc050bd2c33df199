"""What happened in a demo, as one document, for programs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facility.instants import to_iso
from facility.quantities import known_or_none
from megawatch.cli.outputs import Demo, DemoAlarm, DemoTenant, Page
from megawatch.demo.runtime import Stage
from store.histories import history_of
from store.ledger.alarms import Alarm, Notice

_FIGURES: Final = ("low", "best", "high", "limit", "coverage")


def report(stage: Stage) -> Demo:
    """Return what happened: the story, each tenant's draw, accounting, every alarm and every page."""
    return {
        "site": stage.monitor.site.file.site.name,
        "broker": stage.broker,
        "seconds": stage.second + 1,
        "story": [
            {"second": second, "time": to_iso(stage.start_ms + second * 1_000), "caption": caption}
            for second, caption in sorted(stage.scenario.captions.items())
            if second <= stage.second
        ],
        "tenants": _tenants(stage),
        "accounting": {
            **stage.monitor.status.accounting(),
            "undelivered": sum(stage.ledger.waiting().values()),
        },
        "alarms": [_alarm(alarm) for alarm in stage.ledger.alarms()],
        "pages": [_page(notice) for notice in reversed(stage.ledger.notices())],
    }


def _tenants(stage: Stage) -> list[DemoTenant]:
    # A tick hears what was said before it. Later ones find the site silent, for its demo is over.
    begin_ms, end_ms = stage.start_ms, stage.start_ms + (stage.second + 1) * 1_000 + 1
    site, found = stage.monitor.site, []
    with closing(history_of(site.file.store).history(site.place)) as history:
        for tenant in site.file.site.tenants:
            series = [history.draw(tenant.id, figure, begin_ms, end_ms) for figure in _FIGURES]
            # The monitor goes on meanwhile: what was read first may lack its latest ticks.
            count = min(len(one.value) for one in series)
            figures = {name: one.value[:count] for name, one in zip(_FIGURES, series, strict=True)}
            found.append(summary_of(tenant.id, series[0].time_ms[:count], figures))
    return found


def summary_of(
    tenant: str, time_ms: NDArray[np.int64], figures: Mapping[str, NDArray[np.float64]]
) -> DemoTenant:
    """Return for how many ticks each verdict held, and the bounds where they were widest [kW].

    Args:
        tenant: Id of the tenant.
        time_ms: The ticks [ms].
        figures: Low, best, high, limit [MW] and coverage at each.

    Returns:
        The tenant's row. A site that starts says everything for the first time, so ticks count from the
        first at which the whole tenant is covered; from the very first where there is none.
    """
    is_covered = figures["coverage"] >= 1
    begin = int(np.argmax(is_covered)) if is_covered.any() else 0
    low, best, high, limit = (figures[name][begin:] * 1_000 for name in _FIGURES[:-1])
    row: DemoTenant = {
        "id": tenant,
        "seconds": {
            "clear": int(np.count_nonzero(high <= limit)),
            "unknown": int(np.count_nonzero((low <= limit) & (high > limit))),
            "breach": int(np.count_nonzero(low > limit)),
        },
    }
    if len(low):
        at = int(np.argmax(high - low))
        row["widest"] = {
            "time": to_iso(int(time_ms[begin + at])),
            "low_kw": round(float(low[at]), 3),
            "best_kw": known_or_none(round(float(best[at]), 3)),
            "high_kw": round(float(high[at]), 3),
            "limit_kw": round(float(limit[at]), 3),
        }
    return row


def _alarm(alarm: Alarm) -> DemoAlarm:
    return {
        "id": alarm.id,
        "rule": alarm.rule,
        "title": alarm.title,
        "subject": alarm.subject,
        "severity": alarm.severity,
        "opened": to_iso(alarm.opened_ms),
        "closed": None if alarm.returned_ms is None else to_iso(alarm.returned_ms),
        "value": alarm.value,
        "limit": alarm.limit,
        "peak": alarm.peak,
        "unit": alarm.unit,
        "told": alarm.is_told,
    }


def _page(notice: Notice) -> Page:
    return {
        "key": notice.key,
        "rule": notice.body["rule"],
        "subject": notice.body["subject"],
        "change": notice.body["change"],
        "severity": notice.body["severity"],
        "headline": notice.body["headline"],
        "state": notice.state,
        "attempts": notice.attempts,
        "source_time": to_iso(notice.source_ms),
        "delay_s": delay_s(notice),
    }


def delay_s(notice: Notice) -> float | None:
    """Return how long after its source time a page was accepted [s]; None while it was not."""
    if notice.delivered_ms is None:
        return None
    return round((notice.delivered_ms - notice.source_ms) / 1_000, 3)
