"""What every dashboard has: its data source, its variables, its links, its annotations, its order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as models

from grafana.influxql import EVER, RANGE, options
from grafana.panels import SOURCE, Column, Influx, Panel, panel_of, words
from grafana.schema import DRAW, EVENT, READING
from grafana.style import COUNT, VERMILION, WHEN

WIDTH: Final = 24
TITLES: Final = {
    "site": "Site",
    "tenant": "Tenant",
    "power": "Power",
    "cooling": "Cooling",
    "rack": "Rack",
    "alarms": "Alarms",
    "pipeline": "Pipeline",
}
"""The dashboards, in the order of their links."""
KEPT: Final = "${__url_time_range}&${database:queryparam}"
"""What a link takes along: the range and the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A variable that a database is asked for.

    Attributes:
        name: Its name.
        label: What people read.
        query: The query for its values.
        pattern: What of each value counts, as a pattern with a group; "" for all of it.
        has_all: Whether all of them may be chosen at once, which is how it begins.
    """

    name: str
    label: str
    query: str
    pattern: str = ""
    has_all: bool = False


_RACKS: Final = "\"quantity\" = 'rack.power.active'"
TENANT: Final = Choice(name="tenant", label="Tenant", query=options("tenant", DRAW))
HALL: Final = Choice(
    name="hall",
    label="Hall",
    query=options("asset", READING, _RACKS),
    # What stands before the first separator, where an id has more than one.
    pattern="/^([^-_.\\/]+)[-_.\\/].*[-_.\\/]/",
    has_all=True,
)
ROW: Final = Choice(
    name="row",
    label="Row",
    query=options("asset", READING, f'{_RACKS} AND "asset" =~ /^${{hall:regex}}/'),
    pattern="/^(.*)[-_.\\/][^-_.\\/]*$/",
    has_all=True,
)
RACK: Final = Choice(
    name="rack",
    label="Rack",
    query=options(
        "asset", READING, f'{_RACKS} AND "asset" =~ /^${{hall:regex}}/ AND "asset" =~ /^${{row:regex}}/'
    ),
)


def uid(name: str) -> str:
    """Return the uid of a dashboard, which never changes."""
    return f"megawatch-{name}"


def link(name: str, variable: str = "", value: str = "") -> str:
    """Return the address of a dashboard with the same time and database, and one thing chosen."""
    chosen = f"&var-{variable}={value}" if variable else ""
    return f"/d/{uid(name)}?{KEPT}{chosen}"


def cell(column: str) -> str:
    """Return what stands in a column of the same row, for a link."""
    return f"${{__data.fields.{column}:percentencode}}"


def to_tenant(column: str = "tenant") -> tuple[str, str]:
    """Return the link from a tenant's name to its dashboard."""
    return "Tenant", link("tenant", "tenant", cell(column))


def to_rack(column: str = "asset") -> tuple[str, str]:
    """Return the link from a rack's name to its dashboard."""
    return "Rack", link("rack", "rack", cell(column))


def to_meter(column: str = "asset") -> tuple[str, str]:
    """Return the link from a meter's name to its lines."""
    return "Meter", link("power", "meter", cell(column))


def alarms_of(condition: str) -> build.AnnotationQuery:
    """Return annotations of what happened to alarms."""
    query = Influx(
        f'SELECT "rule", "change", "severity", "subject", "id" FROM {EVENT} WHERE {condition} AND {RANGE}',
        "Alarms",
        is_table=True,
        columns={
            "fromAnnotations": True,
            "name": "Alarms",
            "textColumn": "rule",
            "tagsColumn": "change,severity,subject",
        },
    )
    return (
        build.AnnotationQuery()
        .name("Alarms")
        .datasource(SOURCE)
        .enable(enable=True)
        .icon_color(VERMILION)
        .target(query)
    )


def dashboard_of(
    name: str,
    description: str,
    panels: Sequence[Panel],
    *,
    choices: Sequence[Choice] = (),
    more: Sequence[build.CustomVariable] = (),
    annotations: Sequence[build.AnnotationQuery] = (),
    hours: int = 6,
) -> build.Dashboard:
    """Return a dashboard.

    Args:
        name: Its name, which its uid is made of.
        description: What it is for.
        panels: Its panels, in order; a line is broken where it is full.
        choices: Its variables.
        more: Variables without a query.
        annotations: Its annotations.
        hours: Which range it begins with [h].
    """
    made = (
        build.Dashboard(f"Megawatch: {TITLES[name]}")
        .uid(uid(name))
        .description(description)
        .tags(["megawatch"])
        .timezone("browser")
        .time(f"now-{hours}h", "now")
        .refresh("30s")
        .readonly()
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(
            build.DatasourceVariable("database").label("Database").type("influxdb").multi(multi=False)
        )
    )
    for choice in choices:
        made.with_variable(_variable(choice))
    for variable in more:
        made.with_variable(variable)
    for annotation in annotations:
        made.annotation(annotation)
    for other, title in TITLES.items():
        made.link(_menu_entry(other, title))
    for panel, place in _placed(panels):
        made.with_panel(panel_of(panel, place))
    return made


def _menu_entry(name: str, title: str) -> build.DashboardLink:
    return (
        build.DashboardLink(title)
        .type(models.DashboardLinkType.LINK)
        .url(f"/d/{uid(name)}")
        .keep_time(keep_time=True)
        .include_vars(include_vars=True)
        .tooltip(f"the dashboard {title}")
    )


def _placed(panels: Sequence[Panel]) -> Iterator[tuple[Panel, tuple[int, int]]]:
    """Yield panels with their left and upper edge, a line broken where it is full."""
    x = y = tallest = 0
    for panel in panels:
        width, height = panel.size
        if x + width > WIDTH:
            x, y, tallest = 0, y + tallest, 0
        yield panel, (x, y)
        x, tallest = x + width, max(tallest, height)


def _variable(choice: Choice) -> build.QueryVariable:
    made = (
        build.QueryVariable(choice.name)
        .label(choice.label)
        .datasource(SOURCE)
        .query(choice.query)
        .definition(choice.query)
        .regex(choice.pattern)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.NATURAL_ASC)
        .multi(multi=False)
    )
    if choice.has_all:
        everything = models.VariableOption(selected=True, text="All", value="$__all")
        made.include_all(include_all=True).all_value(".*").current(everything)
    return made


def open_alarms(condition: str = "") -> str:
    """Return a query for the alarms that stand at the end of the range: by rule and subject, the last change.

    An acknowledgement opens and ends nothing.

    Args:
        condition: Which alarms.
    """
    which = " AND ".join(part for part in (condition, "\"change\" != 'acknowledged'", EVER) if part)
    return (
        'SELECT last("id") AS "id", "change", "severity", "value", "limit", "unit"'
        f' FROM {EVENT} WHERE {which} GROUP BY "rule", "subject"'
    )


ALARM_COLUMNS: Final = (
    Column(name="Time", title="When", unit=WHEN, more={"custom.minWidth": 150}),
    words("rule", "Rule"),
    words("severity", "Severity"),
    words("change", "Change"),
    Column(name="value", title="Value", unit=COUNT),
    Column(name="limit", title="Limit", unit=COUNT),
    words("unit", "Unit"),
    words("id", "Alarm"),
)
"""What is told of an alarm."""


def its_alarms(number: int, what: str, condition: str, size: tuple[int, int]) -> Panel:
    """Return the panel of the alarms about one thing.

    Args:
        number: The panel's number.
        what: What the thing is called.
        condition: Which alarms are about it.
        size: Width and height.
    """
    return Panel(
        id=number,
        kind="table",
        title="Its alarms",
        description=f"The last change of every alarm about this {what} that changed in the range.",
        unit=COUNT,
        none="none",
        sort="Time",
        columns=ALARM_COLUMNS,
        hidden=["subject"],
        queries=[Influx(f"SELECT * FROM ({open_alarms(condition)}) WHERE $timeFilter", is_table=True)],
        size=size,
    )
