"""Tenants and routes that are wrong in one thing each, and what must be told of them."""

from __future__ import annotations

from tests.unit.facility.site_faults import Told
from tests.unit.facility.site_texts import HOLDS, ROUTE, SITE, TENANT, holding

TENANTS: list[tuple[str, str, Told]] = [
    ("no id", f'{SITE}[[tenant]]\nname = "Acme"\n', [("tenant[0].id", "the identity, found nothing")]),
    ("a naughty id", f'{SITE}[[tenant]]\nid = "acme corp"\n', [("tenant[0].id", "'acme corp'")]),
    ("the operator", f'{SITE}[[tenant]]\nid = "operator"\n', [("tenant[0].id", "the site's own load")]),
    ("two of one id", TENANT + TENANT.removeprefix(SITE), [("tenant[1].id", "'acme', as at tenant[0].id")]),
    ("a holding without racks", holding("{ from = 2026-01-01 }"), [(f"{HOLDS}.racks", "which racks")]),
    ("a holding without a beginning", holding('{ racks = "A" }'), [(f"{HOLDS}.from", "from when")]),
    ("a holding that is text", holding('"A"'), [(HOLDS, "'A'")]),
    ("holdings that are text", f'{TENANT}holds = "A"\n', [("tenant[0].holds", "'A'")]),
    ("racks that are a number", holding("{ racks = 5, from = 2026-01-01 }"), [(f"{HOLDS}.racks", "5")]),
    (
        "a rack that is a number",
        holding('{ racks = ["A", 5], from = 2026-01-01 }'),
        [(f"{HOLDS}.racks[1]", "5")],
    ),
    (
        "a broken pattern",
        holding('{ racks = "A-[", from = 2026-01-01 }'),
        [(f"{HOLDS}.racks", "closed brackets")],
    ),
    (
        "a pattern that matches nothing",
        holding('{ racks = "A-*", from = 2026-01-01 }'),
        [(f"{HOLDS}.racks", "matches a declared rack, found 'A-*'")],
    ),
    (
        "an end before the beginning",
        holding('{ racks = "A", from = 2026-02-01, to = 2026-01-01 }'),
        [(f"{HOLDS}.to", "an instant after 2026-02-01, found 2026-01-01")],
    ),
    (
        "an end at the beginning",
        holding('{ racks = "A", from = 2026-02-01, to = 2026-02-01 }'),
        [(f"{HOLDS}.to", "an instant after 2026-02-01, found 2026-02-01")],
    ),
    ("from as a number", holding('{ racks = "A", from = 1780000000 }'), [(f"{HOLDS}.from", "1780000000")]),
    ("from as a fraction", holding('{ racks = "A", from = 1.5 }'), [(f"{HOLDS}.from", "1.5")]),
    ("from as text", holding('{ racks = "A", from = "2026-01-01" }'), [(f"{HOLDS}.from", "'2026-01-01'")]),
    ("from that is true", holding('{ racks = "A", from = true }'), [(f"{HOLDS}.from", "true")]),
    ("from as a time of day", holding('{ racks = "A", from = 07:32:00 }'), [(f"{HOLDS}.from", "07:32:00")]),
    (
        "from before all calendars",
        holding('{ racks = "A", from = 0001-01-01T00:00:00+14:00 }'),
        [(f"{HOLDS}.from", "0001-01-01")],
    ),
    (
        "to after all calendars",
        holding('{ racks = "A", from = 2026-01-01, to = 9999-12-31T23:59:59-10:00 }'),
        [(f"{HOLDS}.to", "9999-12-31")],
    ),
    (
        "a rack of two tenants",
        holding('{ racks = "A-{1..2}", from = 2026-01-01 }')
        + '[[tenant]]\nid = "globex"\nholds = [{ racks = "A-[2-3]", from = 2026-02-01 }]\n',
        [("tenant[1].holds", "from 2026-02-01T00:00:00.000Z on, found 'A-2', which 'acme' holds then")],
    ),
    (
        "a rack of two tenants for a millisecond",
        holding('{ racks = "A", from = 2026-01-01, to = 2026-02-01T00:00:00.001Z }')
        + '[[tenant]]\nid = "globex"\nholds = [{ racks = "A", from = 2026-02-01 }]\n',
        [("tenant[1].holds", "'A', which 'acme' holds then")],
    ),
    (
        "a rack of three tenants",
        holding('{ racks = "A", from = 2026-01-01 }')
        + '[[tenant]]\nid = "globex"\nholds = [{ racks = "A", from = 2026-02-01, to = 2026-03-01 }]\n'
        + '[[tenant]]\nid = "initech"\nholds = [{ racks = "A", from = 2026-04-01 }]\n',
        [
            ("tenant[1].holds", "'A', which 'acme' holds then"),
            ("tenant[2].holds", "'A', which 'acme' holds then"),
        ],
    ),
    (
        "a route to nowhere",
        f"{SITE}[[route]]\nto = {{}}\n",
        [("route[0].to", "webhook, pagerduty, alertmanager, email, slack, teams, apprise or console")],
    ),
    (
        "hours that are none",
        f'{SITE}[[route]]\nto = {{ console = true }}\nhours = ["8-18"]\n',
        [
            (
                "route[0].hours[0]",
                "hours such as 'Mon-Fri 08:00-18:00', '22:00-06:00' or 'Sat,Sun', found '8-18'",
            )
        ],
    ),
    (
        "a pattern of assets that is none",
        f'{SITE}[[route]]\nto = {{ console = true }}\nasset = ["r{{1.."]\n',
        [("route[0].asset[0]", "closed brackets")],
    ),
    (
        "links that nothing signs",
        f'{SITE}[acknowledge]\nport = 9109\nurl = "https://x"\n',
        [
            ("acknowledge.secret_file", "one beside `url`, found nothing"),
            ("acknowledge.port", "`secret_file` or `pagerduty_secret_file` beside a port, found neither"),
        ],
    ),
    (
        "acknowledgements that come back to no port",
        f'{SITE}[acknowledge]\npagerduty_secret_file = "s"\n',
        [("acknowledge.port", "a port that acknowledgements come back to, found none")],
    ),
    ("a route without an end", f'{SITE}[[route]]\nseverity = ["high"]\n', [("route[0].to", "where they go")]),
    (
        "a webhook that is none",
        f'{SITE}[[route]]\nto = {{ webhook = "pager" }}\n',
        [("route[0].to.webhook", "http://host:port or https://host:port, found 'pager'")],
    ),
    (
        "a console that is text",
        f'{SITE}[[route]]\nto = {{ console = "yes" }}\n',
        [("route[0].to.console", "'yes'")],
    ),
    (
        "a console that is a number",
        f"{SITE}[[route]]\nto = {{ console = 1 }}\n",
        [("route[0].to.console", "1")],
    ),
    ("an unknown severity", f'{ROUTE}severity = ["high", "hihg"]\n', [("route[0].severity[1]", "'hihg'")]),
    ("an unknown desk", f'{ROUTE}desk = ["P3"]\n', [("route[0].desk[0]", "'P3'")]),
    (
        "an unknown tenant",
        f'{ROUTE}tenant = ["acmee"]\n[[tenant]]\nid = "acme"\n',
        [("route[0].tenant[0]", "a tenant's id, found 'acmee' (did you mean 'acme'?)")],
    ),
]
