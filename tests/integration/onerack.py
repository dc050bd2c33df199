"""A site of one rack, whose tenant may draw 10 kW: what a test of pages needs."""

from __future__ import annotations

import time

from testing.collector.publishing import Publisher

SITE = """
[site]
name = "hall"
rack_rating_kw = 100
[[broker]]
url = "{url}"
format = "rack-documents"
[[tenant]]
id = "acme"
holds = [{{ racks = "r1", from = 2026-01-01 }}]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 0.01
[rules.C2]
on_delay_s = 0
off_delay_s = 0
[[route]]
rule = ["C2"]
to = {{ {to} }}
"""
CALM_KW, BUSY_KW = 1, 90
"""Within the contract, and above it."""


def now_ms() -> int:
    """Return the time of the machine [ms]."""
    return time.time_ns() // 1_000_000  # noqa: TID251 - racks and receivers have clocks of their own


def speak(publisher: Publisher, power_kw: int) -> bool:
    """Let the rack say what it draws now; true, so that it can stand in a condition."""
    publisher.publish("megawatch/v1/hall/r1", b'{"time":%d,"power_kw":%d}' % (now_ms(), power_kw))
    return True
