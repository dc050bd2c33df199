"""What Prometheus scrapes is right by the words of its own tool: each family once, with a type and a help."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from megawatch.run.status import metrics_of

PROMTOOL = shutil.which("promtool")
FIGURES = {"low_kw": 1.0, "best_kw": 2.0, "high_kw": None, "limit_kw": 4.0, "coverage": 0.5}
DOCUMENT: dict[str, Any] = {
    "at_ms": 10_000,
    "accounting": {
        **dict.fromkeys(("received", "stored", "duplicates", "waiting", "messages"), 1),
        "dead_lettered_by_reason": {"bad-json": 2, "wrong-type": 3},
    },
    "stages": [{"name": name, "cpu_s": 1.5, "core": 0.01} for name in ("read", "append", "judge", "ship")],
    "undelivered": 1,
    "parts": [
        {"name": "rules", "state": "running", "restarts": 0, "error": "", "failed_ms": None},
        {"name": "trim", "state": "restarting", "restarts": 2, "error": "OSError: no", "failed_ms": 9_250},
    ],
    "journal_seq": 9,
    "journal_stamp_ms": 9_000,
    "rules": {
        "tick_ms": 9_500,
        "seq": 8,
        "openings": [
            {"rule": "C2", "telling": "told", "count": 3},
            {"rule": "Q1", "telling": "suppressed", "count": 200},
        ],
    },
    "history": {"sink": "influx", "seq": 7},
    "brokers": [
        {"name": name, "store_error": "", "silent_s": 1.5, "state": "connected"} for name in ("bus", "bms")
    ],
    "tenants": [{"id": tenant, **FIGURES} for tenant in ("acme", "globex", "operator")],
}


class _Scraped(Collector):
    """What a monitor with that status answers."""

    def collect(self) -> Iterable[Metric]:
        """Return its metrics."""
        return metrics_of(DOCUMENT)


@pytest.fixture(scope="module")
def scraped() -> bytes:
    """Return a scrape of a site with three tenants and two brokers."""
    registry = CollectorRegistry()
    registry.register(_Scraped())
    return generate_latest(registry)


def test_each_family_stands_once_with_all_of_its_rows(scraped: bytes) -> None:
    """A family that stands twice is refused by Prometheus, and every figure behind it is lost."""
    text = scraped.decode()
    families = Counter(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))

    assert set(families.values()) == {1}
    assert re.findall(r"^megawatch_tenant_low_kw\{(.*)\} 1.0", text, re.MULTILINE) == [
        'tenant="acme"',
        'tenant="globex"',
        'tenant="operator"',
    ]
    assert 'megawatch_source_silent_seconds{source="bms"} 1.5' in text
    assert "megawatch_tenant_high_kw{" not in text


def test_each_part_stands_with_its_state_its_restarts_and_its_last_failure(scraped: bytes) -> None:
    """What is asked of by an alert that watches the monitor."""
    lines = {line for line in scraped.decode().split("\n") if line.startswith("megawatch_part_")}

    assert 'megawatch_part_state{part="rules",state="running"} 1.0' in lines
    assert 'megawatch_part_state{part="trim",state="running"} 0.0' in lines
    assert 'megawatch_part_state{part="trim",state="restarting"} 1.0' in lines
    assert 'megawatch_part_restarts_total{part="trim"} 2.0' in lines
    assert 'megawatch_part_last_failure_timestamp_seconds{part="trim"} 9.25' in lines
    assert not any(
        line.startswith('megawatch_part_last_failure_timestamp_seconds{part="rules"') for line in lines
    )


def test_openings_stand_by_what_became_of_telling_them(scraped: bytes) -> None:
    """What is not told is counted all the same."""
    text = scraped.decode()

    assert 'megawatch_alarm_openings_total{rule="C2",telling="told"} 3.0' in text
    assert 'megawatch_alarm_openings_total{rule="Q1",telling="suppressed"} 200.0' in text


def test_each_stage_stands_with_its_cpu_time_beside_the_messages(scraped: bytes) -> None:
    """One divided by the other is what a message costs."""
    text = scraped.decode()

    assert re.findall(r'^megawatch_cpu_seconds_total\{stage="(\w+)"\} 1.5$', text, re.MULTILINE) == [
        "read",
        "append",
        "judge",
        "ship",
    ]
    assert "\nmegawatch_messages_total 1.0\n" in text


@pytest.mark.skipif(PROMTOOL is None, reason="no promtool on the PATH: it comes with Debian's prometheus")
def test_promtool_finds_nothing_to_say(scraped: bytes) -> None:
    """Names, types, helps and units are as Prometheus wants them."""
    checked = subprocess.run(
        [str(PROMTOOL), "check", "metrics"], input=scraped, capture_output=True, check=False
    )

    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")
