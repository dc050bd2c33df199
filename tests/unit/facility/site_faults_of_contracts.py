"""Contracts that are wrong in one thing each, and what must be told of them."""

from __future__ import annotations

from tests.unit.facility.site_faults import Told
from tests.unit.facility.site_texts import VERSION, in_chicago, in_contract, versions, with_limit, with_ramp

TWICE = (
    "expected a time with its offset: 2026-11-01T01:30:00-05:00 or 2026-11-01T01:30:00-06:00, "
    "found 2026-11-01 01:30:00, which the clock of America/Chicago shows twice"
)
NEVER = (
    "expected a time with its offset: 2026-03-08T01:30:00-06:00 or 2026-03-08T03:30:00-05:00, "
    "found 2026-03-08 02:30:00, which the clock of America/Chicago never shows"
)

CONTRACTS: list[tuple[str, str, Told]] = [
    ("no beginning", versions("committed_mw = 1"), [(f"{VERSION}.from", "in force, found nothing")]),
    (
        "no commitment",
        versions("from = 2026-01-01"),
        [(f"{VERSION}.committed_mw", "once every ramp is over")],
    ),
    (
        "a commitment as text",
        versions('from = 2026-01-01\ncommitted_mw = "1"'),
        [(f"{VERSION}.committed_mw", "'1'")],
    ),
    (
        "a negative commitment",
        versions("from = 2026-01-01\ncommitted_mw = -1"),
        [(f"{VERSION}.committed_mw", "-1")],
    ),
    (
        "a commitment that is NaN",
        versions("from = 2026-01-01\ncommitted_mw = nan"),
        [(f"{VERSION}.committed_mw", "NaN")],
    ),
    (
        "a tenth of a milliwatt",
        versions("from = 2026-01-01\ncommitted_mw = 1.0000000001"),
        [(f"{VERSION}.committed_mw", "a whole number of milliwatts")],
    ),
    (
        "a commitment that vanishes",
        versions("from = 2026-01-01\ncommitted_mw = 1e-999999"),
        [(f"{VERSION}.committed_mw", "a whole number of milliwatts")],
    ),
    (
        "a minimum above the commitment",
        in_contract("minimum_mw = 1.1"),
        [(f"{VERSION}.minimum_mw", "at most committed_mw, 1.0, found 1.1")],
    ),
    (
        "named meters without names",
        in_contract('boundary = "named_meters"'),
        [(f"{VERSION}.meters", "found 0 with")],
    ),
    (
        "names without named meters",
        in_contract('meters = ["m"]'),
        [(f"{VERSION}.meters", "found 1 with 'rack_input'")],
    ),
    (
        "a naughty meter",
        in_contract('boundary = "named_meters"\nmeters = ["m", "a\\nb"]'),
        [(f"{VERSION}.meters[1]", "'a\\x0ab'")],
    ),
    (
        "an unknown boundary",
        in_contract('boundary = "tap_metre"'),
        [(f"{VERSION}.boundary", "did you mean 'tap_meter'?")],
    ),
    (
        "an unknown scheme",
        in_contract('redundancy = "2n"'),
        [(f"{VERSION}.redundancy", "did you mean '2N'?")],
    ),
    ("too little loss", in_contract("loss_factor = 0.89"), [(f"{VERSION}.loss_factor", "0.89")]),
    ("too much loss", in_contract("loss_factor = 1.11"), [(f"{VERSION}.loss_factor", "1.11")]),
    ("a currency in small letters", in_contract('currency = "usd"'), [(f"{VERSION}.currency", "'usd'")]),
    ("notice before the day", in_contract("notice_days = -1"), [(f"{VERSION}.notice_days", "-1")]),
    ("notice in fractions", in_contract("notice_days = 0.5"), [(f"{VERSION}.notice_days", "0.5")]),
    ("an endless cure", in_contract("cure_hours = 1e308"), [(f"{VERSION}.cure_hours", "1E+308")]),
    ("a negative cure", in_contract("cure_hours = -1"), [(f"{VERSION}.cure_hours", "-1")]),
    ("an end after all calendars", in_contract("ends = 9999-12-31"), [(f"{VERSION}.ends", "9999-12-31")]),
    ("an end before the beginning", in_contract("ends = 2025-12-30"), [(f"{VERSION}.ends", "2025-12-30")]),
    (
        "an end at the beginning",
        in_contract("ends = 2026-01-01T00:00:00Z"),
        [(f"{VERSION}.ends", "an end after 2026-01-01")],
    ),
    ("a limit that is a number", in_contract("limit = 5"), [(f"{VERSION}.limit", "5")]),
    (
        "an unknown method",
        with_limit('method = "blok"'),
        [(f"{VERSION}.limit.method", "did you mean 'block'?")],
    ),
    (
        "an unknown key of a limit",
        with_limit("warn_percnt = 90"),
        [(f"{VERSION}.limit.warn_percnt", "did you mean 'warn_percent'?")],
    ),
    ("no block", with_limit("minutes = 0"), [(f"{VERSION}.limit.minutes", "0")]),
    (
        "a block that does not divide a day",
        with_limit("minutes = 7"),
        [(f"{VERSION}.limit.minutes", "divides a day, found 7")],
    ),
    (
        "a block beside the second",
        with_limit("minutes = 0.01"),
        [(f"{VERSION}.limit.minutes", "divides a day, found 0.01")],
    ),
    (
        "a block beside the millisecond",
        with_limit("minutes = 1e-9"),
        [(f"{VERSION}.limit.minutes", "divides a day")],
    ),
    ("a block of two days", with_limit("minutes = 2880"), [(f"{VERSION}.limit.minutes", "2880")]),
    ("an endless block", with_limit("minutes = 1e308"), [(f"{VERSION}.limit.minutes", "found 1")]),
    (
        "a subinterval beside the block",
        with_limit('method = "rolling", minutes = 15, subinterval_minutes = 4'),
        [(f"{VERSION}.limit.subinterval_minutes", "divides the block of 15, found 4")],
    ),
    (
        "a subinterval above the block",
        with_limit('method = "rolling", minutes = 15, subinterval_minutes = 30'),
        [(f"{VERSION}.limit.subinterval_minutes", "divides the block of 15, found 30")],
    ),
    (
        "hardly any subinterval",
        with_limit('method = "rolling", subinterval_minutes = 1e-9'),
        [(f"{VERSION}.limit.subinterval_minutes", "found 1")],
    ),
    (
        "an endless subinterval",
        with_limit('method = "rolling", subinterval_minutes = 1e308'),
        [(f"{VERSION}.limit.subinterval_minutes", "found 1")],
    ),
    (
        "a subinterval beside the millisecond",
        with_limit('method = "rolling", minutes = 15, subinterval_minutes = 0.33333'),
        [(f"{VERSION}.limit.subinterval_minutes", "0.33333")],
    ),
    ("an endless overdraw", with_limit("sustain_s = 1e308"), [(f"{VERSION}.limit.sustain_s", "1E+308")]),
    (
        "a subinterval of a block that is none",
        with_limit('method = "rolling", minutes = 7, subinterval_minutes = 4'),
        [(f"{VERSION}.limit.minutes", "divides a day")],
    ),
    (
        "a fee without an end",
        in_contract("monthly_fee = 1e999999"),
        [(f"{VERSION}.monthly_fee", "1E+999999")],
    ),
    (
        "a ramp into a burst that is none",
        in_contract('burst_mw = "1"\nramp = [{ from = 2026-01-01, committed_mw = 2 }]'),
        [(f"{VERSION}.burst_mw", "a number, found '1'")],
    ),
    (
        "meters of a boundary that is none",
        in_contract('boundary = "named"\nmeters = ["m"]'),
        [(f"{VERSION}.boundary", "found 'named'")],
    ),
    ("a warning at nothing", with_limit("warn_percent = 0"), [(f"{VERSION}.limit.warn_percent", "0")]),
    (
        "a warning above the limit",
        with_limit("warn_percent = 100.5"),
        [(f"{VERSION}.limit.warn_percent", "100.5")],
    ),
    (
        "critical below the limit",
        with_limit("critical_percent = 99"),
        [(f"{VERSION}.limit.critical_percent", "99")],
    ),
    (
        "too much tolerance",
        with_limit("tolerance_percent = 10.1"),
        [(f"{VERSION}.limit.tolerance_percent", "10.1")],
    ),
    ("too high a percentile", with_limit("percentile = 101"), [(f"{VERSION}.limit.percentile", "101")]),
    (
        "a ramp that is a table",
        in_contract("ramp = { from = 2026-01-01, committed_mw = 1 }"),
        [(f"{VERSION}.ramp", "2026")],
    ),
    (
        "a level without a power",
        with_ramp("{ from = 2026-01-01 }"),
        [(f"{VERSION}.ramp[0].committed_mw", "found nothing")],
    ),
    (
        "a level of an unknown shape",
        with_ramp('{ from = 2026-01-01, committed_mw = 1, shape = "liner" }'),
        [(f"{VERSION}.ramp[0].shape", "did you mean 'linear'?")],
    ),
    (
        "a ramp above the commitment",
        with_ramp("{ from = 2026-01-01, committed_mw = 1.1 }"),
        [(f"{VERSION}.ramp[0].committed_mw", "at most the commitment and burst, 1, found 1.1")],
    ),
    (
        "a ramp out of order",
        with_ramp(
            "{ from = 2026-01-01, committed_mw = 0.1 }, { from = 2026-03-01, committed_mw = 0.2 }, "
            "{ from = 2026-02-01, committed_mw = 1.0 }"
        ),
        [
            (
                f"{VERSION}.ramp[2].from",
                "an instant after 2026-03-01: a ramp is in order of time, found 2026-02-01",
            )
        ],
    ),
    (
        "two levels at once",
        with_ramp("{ from = 2026-01-01, committed_mw = 0.1 }, { from = 2026-01-01, committed_mw = 1 }"),
        [(f"{VERSION}.ramp[1].from", "an instant after 2026-01-01")],
    ),
    (
        "a ramp that begins late",
        with_ramp("{ from = 2026-01-02, committed_mw = 1 }"),
        [
            (
                f"{VERSION}.ramp[0].from",
                "found 2026-01-02 (or let every level be above committed_mw, 1.0, to rise from it)",
            )
        ],
    ),
    (
        "a first level from nowhere",
        with_ramp('{ from = 2026-01-01, committed_mw = 1, shape = "linear" }'),
        [(f"{VERSION}.ramp[0].shape", "step: no level comes before it, found linear")],
    ),
    (
        "versions out of order",
        versions("from = 2026-02-01\ncommitted_mw = 1", "from = 2026-01-01\ncommitted_mw = 1"),
        [
            (
                "tenant[0].contract[1].from",
                "an instant after 2026-02-01, when the version before begins, found 2026-01-01",
            )
        ],
    ),
    (
        "two versions at once",
        versions("from = 2026-02-01\ncommitted_mw = 1", "from = 2026-02-01\ncommitted_mw = 2"),
        [("tenant[0].contract[1].from", "an instant after 2026-02-01")],
    ),
    (
        "a gap between versions",
        versions(
            "from = 2026-01-01\ncommitted_mw = 1\nends = 2026-01-30", "from = 2026-02-01\ncommitted_mw = 1"
        ),
        [
            (
                "tenant[0].contract[1].from",
                "no gap after the version before, which ends 2026-01-30, found 2026-02-01",
            )
        ],
    ),
    (
        "a holding that begins and ends when the clock shows twice and never",
        in_chicago(
            'id = "acme"\nholds = [{ racks = "A", from = 2026-03-08T02:30:00, to = 2026-11-01T01:30:00 }]'
        ),
        [("tenant[0].holds[0].from", NEVER), ("tenant[0].holds[0].to", TWICE)],
    ),
    (
        "a beginning that the clock shows twice",
        in_chicago('id = "acme"\n[[tenant.contract]]\nfrom = 2026-11-01T01:30:00\ncommitted_mw = 1'),
        [(f"{VERSION}.from", TWICE)],
    ),
    (
        "a beginning that the clock never shows",
        in_chicago('id = "acme"\n[[tenant.contract]]\nfrom = 2026-03-08T02:30:00\ncommitted_mw = 1'),
        [(f"{VERSION}.from", NEVER)],
    ),
    (
        "an end and a notice that the clock shows twice",
        in_chicago(
            'id = "acme"\n[[tenant.contract]]\n'
            "from = 2026-01-01\ncommitted_mw = 1\n"
            "ends = 2026-11-01T01:30:00\nnotice_given = 2026-11-01T01:30:00"
        ),
        [(f"{VERSION}.ends", TWICE), (f"{VERSION}.notice_given", TWICE)],
    ),
    (
        "a level that the clock never shows",
        in_chicago(
            'id = "acme"\n[[tenant.contract]]\n'
            "from = 2026-01-01\ncommitted_mw = 1\nramp = [{ from = 2026-01-01, committed_mw = 0.5 }, "
            "{ from = 2026-03-08T02:30:00, committed_mw = 1 }]"
        ),
        [(f"{VERSION}.ramp[1].from", NEVER)],
    ),
]
