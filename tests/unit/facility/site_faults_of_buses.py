"""Brokers, stores, racks and assets that are wrong in one thing each, and what must be told of them."""

from __future__ import annotations

from tests.unit.facility.site_faults import Told
from tests.unit.facility.site_texts import BROKER, RACKS, SITE, an_asset, in_broker, with_url

BROKERS: list[tuple[str, str, Told]] = [
    ("no address", f"{SITE}[[broker]]\n", [("broker[0].url", "where the broker is, found nothing")]),
    ("an empty address", with_url(""), [("broker[0].url", "mqtt://host:port or mqtts://host:port")]),
    ("another scheme", with_url("http://bus"), [("broker[0].url", "'http://bus'")]),
    ("no scheme", with_url("bus:1883"), [("broker[0].url", "'bus:1883'")]),
    ("no host", with_url("mqtt://:1883"), [("broker[0].url", "'mqtt://:1883'")]),
    ("too large a port", with_url("mqtt://bus:65536"), [("broker[0].url", "'mqtt://bus:65536'")]),
    ("a port that is no number", with_url("mqtt://bus:x"), [("broker[0].url", "'mqtt://bus:x'")]),
    ("half an IPv6 address", with_url("mqtt://[::1"), [("broker[0].url", "'mqtt://[::1'")]),
    ("an address that is a number", f"{SITE}[[broker]]\nurl = 1883\n", [("broker[0].url", "1883")]),
    (
        "an unknown format",
        in_broker('format = "dxs"'),
        [("broker[0].format", "'dsx' or 'rack-documents', found 'dxs'")],
    ),
    ("QoS 2", in_broker("qos = 2"), [("broker[0].qos", "0 or 1, found 2")]),
    ("QoS as text", in_broker('qos = "1"'), [("broker[0].qos", "found '1'")]),
    ("QoS that is true", in_broker("qos = true"), [("broker[0].qos", "found true")]),
    ("too short a keepalive", in_broker("keepalive_s = 1"), [("broker[0].keepalive_s", "found 1")]),
    ("too long a keepalive", in_broker("keepalive_s = 601"), [("broker[0].keepalive_s", "found 601")]),
    ("a keepalive as text", in_broker('keepalive_s = "15"'), [("broker[0].keepalive_s", "found '15'")]),
    ("too short a session", in_broker("session_expiry_s = 59"), [("broker[0].session_expiry_s", "found 59")]),
    ("nothing on its way", in_broker("receive_maximum = 0"), [("broker[0].receive_maximum", "found 0")]),
    (
        "too much on its way",
        in_broker("receive_maximum = 65536"),
        [("broker[0].receive_maximum", "found 65536")],
    ),
    ("no time between heartbeats", in_broker("heartbeat_s = 0"), [("broker[0].heartbeat_s", "found 0")]),
    ("negative jitter", in_broker("jitter_s = -0.5"), [("broker[0].jitter_s", "found -0.5")]),
    ("a naughty client id", in_broker('client_id = "a/b"'), [("broker[0].client_id", "'a/b'")]),
    ("topics as text", in_broker('topics = "a/#"'), [("broker[0].topics", "'a/#'")]),
    ("an empty topic", in_broker('topics = ["a", ""]'), [("broker[0].topics[1]", "a topic filter")]),
    ("a shared topic", in_broker('topics = ["$share/g/a"]'), [("broker[0].topics[0]", "not shared")]),
    ("a topic with NUL", in_broker('topics = ["a\\u0000"]'), [("broker[0].topics[0]", "a topic filter")]),
    ("too long a topic", in_broker(f'topics = ["{"a" * 513}"]'), [("broker[0].topics[0]", "a topic filter")]),
    (
        "a topic with half a wildcard",
        in_broker('topics = ["a+/b"]'),
        [("broker[0].topics[0]", "a topic filter")],
    ),
    ("a topic beneath all", in_broker('topics = ["a/#/b"]'), [("broker[0].topics[0]", "a topic filter")]),
    (
        "both a bad address and no user name",
        f'{SITE}[[broker]]\nurl = "bus"\npassword_file = "p"\n',
        [("broker[0].url", "mqtt://host:port"), ("broker[0].username", "found nothing")],
    ),
    (
        "topics that are numbers",
        in_broker('topics = ["a", 1, "b", 2]'),
        [("broker[0].topics[1]", "1"), ("broker[0].topics[3]", "2")],
    ),
    (
        "the third and the twelfth topic",
        in_broker('topics = ["a", "b", 2, "c", "d", "e", "f", "g", "h", "i", "j", 11]'),
        [("broker[0].topics[2]", "2"), ("broker[0].topics[11]", "11")],
    ),
    (
        "a password without a name",
        in_broker('password_file = "p"'),
        [("broker[0].username", "found nothing")],
    ),
    (
        "a certificate without TLS",
        in_broker('cert_file = "c"'),
        [("broker[0].url", "mqtts:// beside cert_file")],
    ),
    (
        "a key without a certificate",
        in_broker('key_file = "k"'),
        [("broker[0].cert_file", "the certificate of key_file, found nothing")],
    ),
    ("a queue of nothing", in_broker("queued_messages = 0"), [("broker[0].queued_messages", "found 0")]),
    ("trust without TLS", in_broker('ca_file = "ca.pem"'), [("broker[0].url", "mqtts:// beside ca_file")]),
    (
        "two of one name",
        BROKER + BROKER.removeprefix(SITE),
        [("broker[1].name", "'bus', as at broker[0].name")],
    ),
    (
        "a store with a bad address",
        f'{SITE}[store]\ninfluxdb = {{ url = "influx" }}\n',
        [("store.influxdb.url", "http://host:port or https://host:port, found 'influx'")],
    ),
    (
        "a store without an address",
        f'{SITE}[store]\ninfluxdb = {{ org = "o" }}\n',
        [("store.influxdb.url", "where InfluxDB is, found nothing")],
    ),
    (
        "a store with an unknown key",
        f'{SITE}[store]\ninfluxdb = {{ url = "http://i", tokn_file = "t" }}\n',
        [("store.influxdb.tokn_file", "did you mean 'token_file'?")],
    ),
    ("a store that is text", f'{SITE}[store]\ninfluxdb = "http://i"\n', [("store.influxdb", "'http://i'")]),
    ("never sealed", f"{SITE}[store]\nseal_s = 0\n", [("store.seal_s", "found 0")]),
    (
        "ticks beside the second",
        f"{SITE}[engine]\ntick_ms = 300\n",
        [("engine.tick_ms", "a divisor of 1,000, found 300")],
    ),
    ("too fast ticks", f"{SITE}[engine]\ntick_ms = 40\n", [("engine.tick_ms", "found 40")]),
    ("too slow ticks", f"{SITE}[engine]\ntick_ms = 2000\n", [("engine.tick_ms", "found 2000")]),
    ("too patient", f"{SITE}[engine]\nlateness_ms = 60001\n", [("engine.lateness_ms", "found 60001")]),
    ("no port", f"{SITE}[metrics]\nport = -1\n", [("metrics.port", "found -1")]),
    ("too high a port", f"{SITE}[metrics]\nport = 65536\n", [("metrics.port", "found 65536")]),
    ("a port as text", f'{SITE}[metrics]\nport = "9464"\n', [("metrics.port", "found '9464'")]),
]

RACK_TABLES: list[tuple[str, str, Told]] = [
    ("no ids", f"{SITE}[[rack]]\nrating_kw = 132\n", [("rack[0].ids", "which racks")]),
    ("ids that are a number", f"{SITE}[[rack]]\nids = 5\n", [("rack[0].ids", "5")]),
    ("an id that is a number", f'{SITE}[[rack]]\nids = ["A", 5]\n', [("rack[0].ids[1]", "5")]),
    ("a pattern without an end", f'{SITE}[[rack]]\nids = "A-{{1..4"\n', [("rack[0].ids", "closed brackets")]),
    ("a falling range", f'{SITE}[[rack]]\nids = ["B", "A-{{4..1}}"]\n', [("rack[0].ids", "a rising range")]),
    ("too many", f'{SITE}[[rack]]\nids = "A-{{1..200001}}"\n', [("rack[0].ids", "at most 200000 names")]),
    ("no id", f'{SITE}[[rack]]\nids = " A{{1..4}}"\n', [("rack[0].ids", "' A1'")]),
    ("an open pattern", f'{SITE}[[rack]]\nids = "A-*"\n', [("rack[0].ids", "without * and ?, found 'A-*'")]),
    (
        "two broken patterns",
        f'{SITE}[[rack]]\nids = ["A-[", "B-]"]\n',
        [("rack[0].ids", "'A-['"), ("rack[0].ids", "'B-]'")],
    ),
    (
        "a rack in two tables",
        f'{RACKS}[[rack]]\nids = ["A-4", "A-5"]\n',
        [("rack[1].ids", "racks of no other [[rack]] table, found 'A-4'")],
    ),
    ("a negative rating", f"{RACKS}rating_kw = -1\n", [("rack[0].rating_kw", "found -1")]),
    (
        "a rating in fractions of a milliwatt",
        f"{RACKS}rating_kw = 1.0000001\n",
        [("rack[0].rating_kw", "milliwatts")],
    ),
    ("a floor above the rating", f"{RACKS}floor_percent = 101\n", [("rack[0].floor_percent", "found 101")]),
    ("no feeds", f"{RACKS}feeds = 0\n", [("rack[0].feeds", "found 0")]),
    ("feeds that are true", f"{RACKS}feeds = true\n", [("rack[0].feeds", "found true")]),
    ("an asset without an id", f'{SITE}[[asset]]\nkind = "CDU"\n', [("asset[0].id", "the identity")]),
    ("an asset of no kind", f'{SITE}[[asset]]\nid = "a"\n', [("asset[0].kind", "object type")]),
    (
        "assets of one id",
        f'{SITE}[[asset]]\nid = "a"\nkind = "CDU"\n[[asset]]\nid = "a"\nkind = "CDU"\n',
        [("asset[1].id", "'a', as at asset[0].id")],
    ),
    (
        "an asset that serves nobody known",
        f'{RACKS}[[asset]]\nid = "a"\nkind = "CDU"\nserves = ["B-*"]\n',
        [("asset[0].serves", "a pattern that matches a declared rack, found 'B-*'")],
    ),
    (
        "an asset with a broken pattern",
        f'{RACKS}[[asset]]\nid = "a"\nkind = "CDU"\nserves = ["A-["]\n',
        [("asset[0].serves", "closed brackets")],
    ),
    (
        "an asset that serves a number",
        f'{RACKS}[[asset]]\nid = "a"\nkind = "CDU"\nserves = ["A-1", 2]\n',
        [("asset[0].serves[1]", "2")],
    ),
    (
        "an asset that serves itself",
        an_asset("a", '"a"'),
        [("asset", "nothing serves itself, found a → a")],
    ),
    (
        "assets that serve each other",
        an_asset("a", '"b"') + an_asset("b", '"a"').removeprefix(SITE),
        [("asset", "→")],
    ),
]
