"""Which dashboard shows what an alarm is about, and from when to when."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from rules.subject import Subject, SubjectKind

BEFORE_MS: Final = 900_000
"""How long before the limit was broken it begins, and after the alarm's end it ends [ms] (our choice)."""

_POWER: Final = ("megawatch-power", "var-meter")
_COOLING: Final = ("megawatch-cooling", "var-unit")
_RACK: Final = ("megawatch-rack", "var-rack")
_DASHBOARDS: Final = {
    SubjectKind.TENANT: ("megawatch-tenant", "var-tenant"),
    SubjectKind.RACK: _RACK,
    SubjectKind.FEED: _RACK,
    SubjectKind.NODE: _POWER,
    SubjectKind.METER: _POWER,
    SubjectKind.BREAKER: _POWER,
    SubjectKind.PHASE: _POWER,
    SubjectKind.COOLANT_UNIT: _COOLING,
    SubjectKind.LOOP: _COOLING,
    SubjectKind.VALVE: _COOLING,
    SubjectKind.PUBLISHER: ("megawatch-pipeline", ""),
}
_ELSE: Final = ("megawatch-site", "")


def dashboard_url(base: str, subject: Subject, asset: str, since_ms: int, over_ms: int | None) -> str:
    """Return where Grafana shows a subject.

    Args:
        base: Address of Grafana; "" where there is none, and then nowhere.
        subject: What the alarm is about.
        asset: The asset that it belongs to, or its own id.
        since_ms: Since when the limit is broken [ms].
        over_ms: When it was over [ms]; None while it is not.
    """
    if not base:
        return ""
    uid, variable = _DASHBOARDS.get(subject.kind, _ELSE)
    asked: dict[str, str | int] = {
        "from": since_ms - BEFORE_MS,
        "to": "now" if over_ms is None else over_ms + BEFORE_MS,
    }
    if variable:
        asked[variable] = asset
    return f"{base.rstrip('/')}/d/{uid}?{urlencode(asked)}"
