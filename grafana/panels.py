"""Panels: what each shows, in our words, and how Grafana wants it said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.common import DataSourceRef

from grafana.style import BLUE, GREY, PLAIN, SHARE, SKY, TEXT, VERMILION, Steps

SOURCE: Final = DataSourceRef(type_val="influxdb", uid="${database}")
"""The data source, by the variable of every dashboard."""
NARROW: Final = 60
"""How narrow a table's column may become [pixels]; Grafana's 150 hide half of a table of eight."""
Kind = Literal["stat", "table", "timeseries", "bargauge"]


class Influx(Dataquery, Builder[Dataquery]):
    """A query in InfluxQL, which the kit has no words for.

    Args:
        text: The query.
        ref: What the panel calls it.
        is_table: Whether rows are wanted, instead of lines.
        alias: What a line is called, with `$tag_...` and `$col` filled in.
        columns: Where an annotation finds its text and tags.
    """

    def __init__(
        self,
        text: str,
        ref: str = "A",
        *,
        is_table: bool = False,
        alias: str = "",
        columns: Mapping[str, object] | None = None,
    ) -> None:
        self._text, self._ref, self._is_table, self._alias = text, ref, is_table, alias
        self._columns = dict(columns or {})

    def build(self) -> Dataquery:
        """Return the query itself."""
        return self

    def to_json(self) -> dict[str, object]:
        """Return what Grafana is told."""
        found: dict[str, object] = {
            "datasource": {"type": SOURCE.type_val, "uid": SOURCE.uid},
            "query": self._text,
            "rawQuery": True,
            "refId": self._ref,
            "resultFormat": "table" if self._is_table else "time_series",
        }
        if self._alias:
            found["alias"] = self._alias
        return found | self._columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table, or a line of a graph, that is not like the others.

    Attributes:
        name: What the query calls it; between slashes, a pattern of what lines are called.
        title: What people read.
        unit: Its unit.
        steps: Its colours by value; with them a table's cell is a gauge or is coloured.
        link: Where it leads, with a title.
        colour: The colour of a line.
        more: Further properties of Grafana, by id.
    """

    name: str
    title: str = ""
    unit: str = ""
    steps: Steps = ()
    link: tuple[str, str] | tuple[()] = ()
    colour: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)

    def properties(self) -> list[models.DynamicConfigValue]:
        """Return its properties as Grafana wants them."""
        found: dict[str, Any] = {}
        if self.title:
            found["displayName"] = self.title
        if self.unit:
            found["unit"] = self.unit
        if self.steps:
            found["thresholds"] = {"mode": "absolute", "steps": steps_of(self.steps)}
            found["color"] = {"mode": "thresholds"}
            found["custom.cellOptions"] = {"type": "color-text"}
        if self.colour:
            found["color"] = {"mode": "fixed", "fixedColor": self.colour}
        if self.link:
            title, url = self.link
            found["links"] = [{"title": title, "url": url}]
        return [
            models.DynamicConfigValue(id_val=name, value=value)
            for name, value in (found | dict(self.more)).items()
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A panel.

    Attributes:
        id: Its number, which never changes: links lead to it.
        kind: What draws it.
        title: Its title.
        description: What it says, in one sentence.
        unit: The unit of its values.
        queries: Its queries.
        size: Width (of 24) and height.
        steps: Colours by value.
        columns: What is not like the others.
        link: Where its values lead, with a title.
        sort: By which column a table is sorted, the largest first; with a minus, the smallest.
        hidden: Columns that are not shown.
        none: What stands there where there is nothing, which is well.
        low: Where the axis begins; None for where values do.
        decimals: Digits after the point; None for what Grafana thinks.
        is_bars: Whether bars are drawn, instead of lines.
        is_stacked: Whether they stand on each other.
        shows: Of a stat: a column that is not the value, by its name.
    """

    id: int
    kind: Kind
    title: str
    description: str
    unit: str
    queries: Sequence[Influx]
    size: tuple[int, int]
    steps: Steps = PLAIN
    columns: Sequence[Column] = ()
    link: tuple[str, str] | tuple[()] = ()
    sort: str = ""
    hidden: Sequence[str] = ()
    none: str = ""
    low: float | None = None
    decimals: float | None = None
    is_bars: bool = False
    is_stacked: bool = False
    shows: str = ""


def steps_of(steps: Steps) -> list[dict[str, object]]:
    """Return thresholds as Grafana wants them."""
    return [{"value": value, "color": colour} for value, colour in steps]


def panel_of(panel: Panel, place: tuple[int, int]) -> build.Panel:
    """Return a panel as the kit's builder.

    Args:
        panel: Panel that is changed.
        place: Its left and upper edge.
    """
    width, height = panel.size
    made = (
        build.Panel()
        .type(panel.kind)
        .id(panel.id)
        .title(panel.title)
        .description(panel.description)
        .datasource(SOURCE)
        .grid_pos(models.GridPos(h=height, w=width, x=place[0], y=place[1]))
        .targets(list(panel.queries))
        .unit(panel.unit)
        .interval("1m" if _is_of_means(panel) else "10s" if panel.kind == "timeseries" else "1s")
        .thresholds(
            build.ThresholdsConfig()
            .mode(models.ThresholdsMode.ABSOLUTE)
            .steps([models.Threshold(value=value, color=colour) for value, colour in panel.steps])
        )
        .color_scheme(_colours(panel))
        .options(_options(panel))
        .custom(_custom(panel))
    )
    if panel.none:
        made.no_value(panel.none)
    if panel.low is not None:
        made.min(panel.low)
    if panel.decimals is not None:
        made.decimals(panel.decimals)
    if panel.link:
        made.data_links([build.DashboardLink(panel.link[0]).url(panel.link[1])])
    for column in panel.columns:
        override = made.override_by_regexp if column.name.startswith("/") else made.override_by_name
        override(column.name, column.properties())
    if panel.kind == "table":
        made.with_transformation(_organised(panel))
    return made


def _is_of_means(panel: Panel) -> bool:
    return panel.kind == "timeseries" and any(
        "_1m" in str(query.to_json()["query"]) for query in panel.queries
    )


def _colours(panel: Panel) -> build.FieldColor:
    if panel.kind == "timeseries":
        # Lines whose number is not known: shades of one colour, told apart by name.
        return build.FieldColor().mode(models.FieldColorModeId.SHADES).fixed_color(BLUE)
    if panel.kind == "table":
        return build.FieldColor().mode(models.FieldColorModeId.FIXED).fixed_color(GREY)
    return build.FieldColor().mode(models.FieldColorModeId.THRESHOLDS)


def _options(panel: Panel) -> dict[str, object]:
    match panel.kind:
        case "stat":
            return {
                "colorMode": "value",
                "graphMode": "none",
                "justifyMode": "auto",
                "orientation": "auto",
                "reduceOptions": {
                    "calcs": ["lastNotNull"],
                    "fields": f"/^{panel.shows}$/" if panel.shows else "",
                    "values": False,
                },
                "textMode": "auto",
                "wideLayout": True,
            }
        case "bargauge":
            return {
                "displayMode": "basic",
                "orientation": "horizontal",
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
                "showUnfilled": True,
                "valueMode": "text",
            }
        case "table":
            name = panel.sort.removeprefix("-")
            title = next((c.title or c.name for c in panel.columns if c.name == name), name)
            sort = [{"displayName": title, "desc": not panel.sort.startswith("-")}] if panel.sort else []
            return {"cellHeight": "sm", "showHeader": True, "sortBy": sort, "footer": {"show": False}}
        case "timeseries":
            return {
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }


def _custom(panel: Panel) -> dict[str, object]:
    if panel.kind == "table":
        return {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": True, "minWidth": NARROW}
    if panel.kind != "timeseries":
        return {}
    has_steps = len(panel.steps) > 1
    return {
        "drawStyle": "bars" if panel.is_bars else "line",
        "fillOpacity": 60 if panel.is_bars else 25 if panel.is_stacked else 0,
        "lineWidth": 1,
        "pointSize": 3,
        "showPoints": "auto",
        # A gap is a gap: nothing is drawn where nothing is known.
        "spanNulls": False,
        "stacking": {"mode": "normal" if panel.is_stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if has_steps else "off"},
    }


def _organised(panel: Panel) -> models.DataTransformerConfig:
    """Return the order of a table's columns, and which of them are not shown."""
    names = [column.name for column in panel.columns]
    return models.DataTransformerConfig(
        id_val="organize",
        options={
            "excludeByName": dict.fromkeys(panel.hidden, True),
            "indexByName": {name: place for place, name in enumerate(names)},
            "renameByName": {},
        },
    )


def bounds(limit: str, **limit_more: object) -> tuple[Column, ...]:
    """Return how a draw is drawn within the band of its bounds, against a limit.

    Args:
        limit: What the limit's line is called.
        limit_more: Further properties of that line, by their id.
    """
    return (
        *band("at most", "at least"),
        Column(name="draw", colour=BLUE, more={"custom.lineWidth": 2}),
        Column(name=limit, colour=VERMILION, more={"custom.lineWidth": 2} | limit_more),
    )


def band(upper: str, lower: str) -> tuple[Column, Column]:
    """Return how the room between two lines is filled."""
    return (
        Column(name=upper, colour=SKY, more={"custom.fillBelowTo": lower, "custom.lineWidth": 0}),
        Column(name=lower, colour=SKY, more={"custom.lineWidth": 0}),
    )


def gauge(name: str, title: str, steps: Steps) -> Column:
    """Return a column of shares of a limit, as bars from none to all of it."""
    form = {"custom.cellOptions": {"type": "gauge", "mode": "basic"}, "min": 0, "max": 1, "decimals": 1}
    return Column(name=name, title=title, unit=SHARE, steps=steps, more=form)


def words(name: str, title: str, link: tuple[str, str] | tuple[()] = ()) -> Column:
    """Return a column of names."""
    return Column(name=name, title=title, unit=TEXT, link=link)
