"""Feeds that are wrong in one thing each, and what must be told of them."""

from __future__ import annotations

from tests.unit.facility.site_faults import Told
from tests.unit.facility.site_texts import BROKER, SITE

SOURCE = '[rules]\nsource = "influxdb"\n'
PLACE = '[influxdb]\nurl = "http://db:8086"\nbucket = "plant"\n'
SERIES = """
[[influxdb.series]]
measurement = "mqtt_consumer"
field = "power_kw"
tag = "topic"
asset = "dc/([^/]+)/meter"
quantity = "rack.power.active"
unit = "kW"
"""
FEED = SITE + SOURCE + PLACE + SERIES


def with_line(line: str) -> str:
    """Return a file whose one series has a line instead of the one of that key."""
    key = line.partition(" ")[0]
    return "\n".join(line if old.startswith(f"{key} ") else old for old in FEED.split("\n"))


def of(key: str, words: str) -> Told:
    """Return what must be told of a key of the one series."""
    return [(f"influxdb.series[0].{key}", words)]


FEEDS: list[tuple[str, str, Told]] = [
    ("another source", f'{SITE}[rules]\nsource = "kafka"\n', [("rules.source", "'journal' or 'influxdb'")]),
    ("a source that is a table", f"{SITE}[rules.source]\na = 1\n", [("rules.source", "found {a = 1}")]),
    ("nothing to read", SITE + SOURCE, [("influxdb", "a table, found nothing")]),
    ("a feed that is a text", f'influxdb = "x"\n{SITE}{SOURCE}', [("influxdb", "a table, found 'x'")]),
    ("no series", SITE + SOURCE + PLACE, [("influxdb.series", "[[influxdb.series]], found none")]),
    ("no address", FEED.replace('url = "http://db:8086"\n', ""), [("influxdb.url", "found nothing")]),
    ("too long a delay", FEED.replace("bucket", "delay_s = 301\nbucket"), [("influxdb.delay_s", "300")]),
    ("too many polls", FEED.replace("bucket", "poll_s = 0.1\nbucket"), [("influxdb.poll_s", "0.25")]),
    ("a broker beside it", BROKER + SOURCE + PLACE + SERIES, [("broker[0]", "no broker beside")]),
    ("no measurement", FEED.replace('measurement = "mqtt_consumer"\n', ""), of("measurement", "nothing")),
    ("a measurement in quotes", with_line("measurement = 'a\"b'"), of("measurement", "letters, digits")),
    ("our own measurement", with_line('measurement = "reading"'), of("measurement", "does not write itself")),
    ("a field with a space", with_line('field = "power kw"'), of("field", "letters, digits")),
    ("an empty tag", with_line('tag = ""'), of("tag", "letters, digits")),
    ("no group", with_line('asset = "dc/.*"'), of("asset", "a group in brackets")),
    ("a broken pattern", with_line('asset = "("'), of("asset", "a regular expression, found '('")),
    ("an unknown quantity", with_line('quantity = "power"'), of("quantity", "one that is known")),
    (
        "tags that are a text",
        with_line('unit = "kW"\nwhere = "phase = L1"'),
        of("where", "a table of texts, found 'phase = L1'"),
    ),
    ("a tag with a number", with_line('unit = "kW"\nwhere = { phase = 1 }'), of("where", "a table of texts")),
    (
        "a tag in quotes",
        with_line('unit = "kW"\nwhere = { "a\'b" = "1" }'),
        of("where", "tags called by letters, digits"),
    ),
    ("a unit of something else", with_line('unit = "°C"'), of("unit", "such as kW, found '°C'")),
]
