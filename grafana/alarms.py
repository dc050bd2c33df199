"""The dashboard of alarms: what stands, what comes, and how healthy alarming itself is."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard as build

from grafana import style
from grafana.frame import ALARM_COLUMNS, cell, dashboard_of, open_alarms
from grafana.influxql import EVER, RANGE
from grafana.panels import Column, Influx, Panel, words
from grafana.schema import EVENT
from grafana.site import OPEN_BY_SEVERITY

_AROUND = "${__value.time}"
_LINKS = [
    {
        "title": title,
        "url": f"/d/megawatch-{name}?${{database:queryparam}}&var-{name}={cell('subject')}{time}",
    }
    for name, title, time in (
        ("tenant", "The tenant at that time", f"&time={_AROUND}&time.window=3600000"),
        ("rack", "The rack at that time", f"&time={_AROUND}&time.window=3600000"),
    )
]
_SUBJECT = Column(name="subject", title="About", unit=style.TEXT, more={"links": _LINKS})
_COLUMNS = (ALARM_COLUMNS[0], _SUBJECT, *ALARM_COLUMNS[1:])
_SHOWN = 'SELECT "subject", "rule", "severity", "change", "by", "value", "limit", "unit", "id"'


PANELS: Final = (
    Panel(
        id=1,
        kind="stat",
        title="Open",
        description="Alarms that opened and have not returned at the end of the range, by severity.",
        unit=style.COUNT,
        steps=style.NONE_IS_WELL,
        none="none",
        queries=[Influx(OPEN_BY_SEVERITY, alias="$tag_severity")],
        size=(8, 4),
    ),
    Panel(
        id=2,
        kind="stat",
        title="Opened in the range",
        description="How many alarms opened in the range, by severity.",
        unit=style.COUNT,
        none="none",
        queries=[
            Influx(
                f'SELECT count(distinct("id")) FROM {EVENT} WHERE "change" = \'opened\' AND'
                f' {RANGE} GROUP BY "severity"',
                alias="$tag_severity",
            )
        ],
        size=(8, 4),
    ),
    Panel(
        id=3,
        kind="stat",
        title="Acknowledged in the range",
        description="How many alarms were acknowledged in the range, by severity.",
        unit=style.COUNT,
        none="none",
        queries=[
            Influx(
                f'SELECT count(distinct("id")) FROM {EVENT} WHERE "change" = \'acknowledged\' AND {RANGE}'
                ' GROUP BY "severity"',
                alias="$tag_severity",
            )
        ],
        size=(8, 4),
    ),
    Panel(
        id=4,
        kind="table",
        title="What stands",
        description="Every alarm that opened and has not returned at the end of the range, the latest first.",
        unit=style.COUNT,
        none="none",
        sort="Time",
        columns=_COLUMNS,
        queries=[
            Influx(
                f"SELECT * FROM ({open_alarms()}) WHERE \"change\" != 'returned' AND {EVER}",
                is_table=True,
            )
        ],
        size=(24, 8),
    ),
    Panel(
        id=5,
        kind="timeseries",
        title="Opened in ten minutes",
        description="How many alarms opened in each ten minutes, by severity: more than ten are a flood.",
        unit=style.COUNT,
        none="none",
        low=0,
        is_bars=True,
        is_stacked=True,
        steps=style.FLOOD,
        columns=[
            Column(name="critical", colour=style.VERMILION),
            Column(name="high", colour=style.ORANGE),
            Column(name="medium", colour=style.BLUE),
            Column(name="low", colour=style.SKY),
            Column(name="info", colour=style.GREY),
        ],
        queries=[
            Influx(
                f'SELECT count(distinct("id")) FROM {EVENT} WHERE "change" = \'opened\' AND {RANGE}'
                ' GROUP BY time(10m), "severity" fill(none)',
                alias="$tag_severity",
            )
        ],
        size=(14, 9),
    ),
    Panel(
        id=6,
        kind="table",
        title="What chatters",
        description="How often each alarm opened in the range, the most often first.",
        unit=style.COUNT,
        none="none",
        sort="times",
        hidden=["Time"],
        columns=[_SUBJECT, words("rule", "Rule"), Column(name="times", title="Opened")],
        queries=[
            Influx(
                f'SELECT count(distinct("id")) AS "times" FROM {EVENT} WHERE "change" = \'opened\''
                f" AND {RANGE}"
                ' GROUP BY "rule", "subject"',
                is_table=True,
            )
        ],
        size=(10, 9),
    ),
    Panel(
        id=7,
        kind="table",
        title="What happened",
        description="Changes of alarms in the range, with their authors, latest first, up to a thousand.",
        unit=style.COUNT,
        none="none",
        sort="Time",
        columns=(*_COLUMNS, words("by", "By")),
        queries=[Influx(f"{_SHOWN} FROM {EVENT} WHERE {RANGE} ORDER BY time DESC LIMIT 1000", is_table=True)],
        size=(24, 10),
    ),
)
"""Its panels."""


def dashboard() -> build.Dashboard:
    """Return the dashboard."""
    return dashboard_of(
        "alarms",
        "Alarms: what stands, what comes, floods and chatter, what was acknowledged.",
        PANELS,
        hours=24,
    )
