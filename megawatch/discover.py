"""Discovery: listen to a bus, and propose a site file with the racks, graph and ratings that it tells of."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from collector.decode.base import Context, Gathered
from collector.decode.dsx import DsxDecoder
from collector.gather import Ranges
from collector.message import Message
from collector.mqtt import Address, Connection, Lost, Refused
from collector.register import Register
from facility.errors import MegawatchError
from facility.graph import RACK
from facility.names import AssetId
from facility.points import Asset, Point
from facility.site import Site
from facility.sitetables import BrokerTable
from megawatch.clock import SteadyClock
from store.entries import Known

FACTOR: Final = 1.5
"""A rack of which only power was heard is guessed to be able to draw half as much again."""
STEP_KW: Final = 10
"""Guesses are rounded up to this."""


@dataclass(slots=True)
class Heard:
    """What a bus told.

    Attributes:
        assets: Every asset that was described.
        points: Every point, by its number.
        largest: The largest value of each point, in canonical units.
        messages: How many messages there were.
        refused: How many of them could not be understood, by reason.
        waiting: How many values had no metadata.
    """

    assets: dict[AssetId, Asset] = field(default_factory=dict)
    points: dict[int, Point] = field(default_factory=dict)
    largest: dict[int, float] = field(default_factory=dict)
    messages: int = 0
    refused: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    waiting: int = 0

    @property
    def racks(self) -> list[str]:
        """The racks, in order."""
        return sorted(asset.id for asset in self.assets.values() if asset.kind == RACK)


class Listener:
    """Takes in what a DSX bus says.

    Args:
        broker: The broker.
    """

    def __init__(self, broker: BrokerTable) -> None:
        self._register = Register({})
        self._ranges = Ranges()
        context = Context(
            site=Site(name="discovery", zone=ZoneInfo("UTC")),
            register=self._register,
            ranges=self._ranges,
            waiting_numbers=count(1),
        )
        self._decoder = DsxDecoder(broker, context, {})
        self.heard = Heard()

    @property
    def topics(self) -> tuple[str, ...]:
        """The topic filters to listen to."""
        return self._decoder.topics

    def take(self, message: Message) -> None:
        """Take in one message."""
        gathered = Gathered()
        self._decoder.decode([message], gathered)
        batch = gathered.rows.batch(self._ranges)
        heard = self.heard
        heard.messages += 1
        heard.waiting += len(gathered.waiting) - len(gathered.settled)
        for rejection in gathered.rows.rejections:
            heard.refused[rejection.reason.value] += 1
        for known in self._register.news():
            self._learn(known)
        for point, value in zip(batch.point.tolist(), batch.value.tolist(), strict=True):
            if not math.isnan(value):
                heard.largest[point] = max(value, heard.largest.get(point, value))

    def _learn(self, known: Known) -> None:
        self.heard.points[known.id] = known.point
        if known.asset is not None:
            before = self.heard.assets.get(known.asset.id)
            if before is None or len(before.serves) < len(known.asset.serves):
                self.heard.assets[known.asset.id] = known.asset


async def listen(url: str, seconds: float) -> Heard:
    """Listen to a broker.

    Args:
        url: `mqtt://host:port`.
        seconds: For how long [s].

    Raises:
        Refused: Where the broker does not accept us.
        Lost: Where it can not be reached.
    """
    parts = urlsplit(url)
    clock = SteadyClock()
    listener = Listener(BrokerTable.model_validate({"url": url}))
    address = Address(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 1883,
        client_id=f"megawatch-discover-{secrets.token_hex(4)}",
        session_expiry_s=0,
    )
    version = 5
    while True:
        connection = Connection(
            address,
            version=version,
            generation=1,
            take=listener.take,
            connected=lambda _resumed: None,
            now_ms=clock.now_ms,
        )
        try:
            async with connection:
                await connection.subscribe([(topic, 0) for topic in listener.topics])
                await asyncio.sleep(seconds)
                return listener.heard
        except Refused as error:
            if not (error.is_version and version == 5):  # noqa: PLR2004 - MQTT 5
                raise
            version = 4


async def discover_site(url: str, seconds: float, name: str) -> tuple[str, dict[str, Any]]:
    """Listen to a broker and propose a site file.

    Args:
        url: `mqtt://host:port`.
        seconds: For how long to listen [s].
        name: What to call the site.

    Returns:
        The site file, and in figures what it was made of.

    Raises:
        MegawatchError: Where the broker can not be reached or does not accept us.
    """
    try:
        heard = await listen(url, seconds)
    except (Refused, Lost) as error:
        raise MegawatchError(f"{url}: {error.cause}") from error
    figures = {
        "racks": len(heard.racks),
        "assets": len(heard.assets),
        "points": len(heard.points),
        "messages": heard.messages,
        "without_metadata": heard.waiting,
        "refused": dict(heard.refused),
    }
    return propose(heard, url, name), figures


def propose(heard: Heard, url: str, name: str) -> str:
    """Return a site file of what was heard; guesses are marked as such.

    Args:
        heard: What was heard.
        url: The broker.
        name: What to call the site.
    """
    lines = [
        f"# Proposed by `megawatch discover` from {heard.messages} messages on {url}.",
        "# What the bus said is stated plainly; what was guessed says so. Go through it before use.",
        "",
        "[site]",
        f'name = "{name}"',
        'timezone = "UTC"                 # set the zone of the contracts',
        "",
        "[[broker]]",
        f'url = "{url}"',
        'format = "dsx"',
        "",
    ]
    lines += _rack_lines(heard)
    lines += _asset_lines(heard)
    lines += _tenant_lines(heard)
    return "\n".join(lines) + "\n"


def _rack_lines(heard: Heard) -> list[str]:
    feeds = _feeds(heard)
    by_kind: dict[tuple[int, int, str], list[str]] = defaultdict(list)
    for rack in heard.racks:
        rating, why = _rating(heard, rack)
        by_kind[rating, feeds.get(rack, 2), why].append(rack)
    lines = ["# Racks: ids as the bus gives them (rackLocationId)."]
    for (rating, feed_count, why), racks in sorted(by_kind.items()):
        lines += ["[[rack]]", f"ids = {_names(racks)}", f"rating_kw = {rating}  # guess: {why}"]
        told = "the meters that serve it" if racks[0] in feeds else "guess: no meter serves it on the bus"
        lines += [f"feeds = {feed_count}       # {told}", ""]
    return lines


def _asset_lines(heard: Heard) -> list[str]:
    serving = [a for a in heard.assets.values() if a.kind != RACK and a.serves]
    lines = ["# The power and cooling graph, as servesId gave it."] if serving else []
    for asset in sorted(serving, key=lambda asset: asset.id):
        lines += ["[[asset]]", f'id = "{asset.id}"', f'kind = "{asset.kind}"']
        lines += [f"serves = {_names(sorted(asset.serves))}", ""]
    return lines


def _tenant_lines(heard: Heard) -> list[str]:
    total = sum(_power(heard, rack) for rack in heard.racks)
    lines = [
        "# Who holds what is nowhere on the bus: name the tenants and their contracts.",
        f"# All {len(heard.racks)} racks together drew {total:.1f} kW at most while this was heard.",
        "# [[tenant]]",
        '# id = "acme"',
        f"# holds = [{{ racks = {_names(heard.racks[:4])}, from = 2026-01-01 }}]",
        "# [[tenant.contract]]",
        "# from = 2026-01-01",
        "# committed_mw = 1.0",
    ]
    return lines if heard.racks else []


def _rating(heard: Heard, rack: str) -> tuple[int, str]:
    """Guess a rack's rating: by what one of its feeds can carry, else by what it was heard to draw."""
    limits = []
    for meter in heard.assets.values():
        if rack not in meter.serves:
            continue
        amps = _largest(heard, meter.id, "current.limit")
        volts = _largest(heard, meter.id, "voltage.ll")
        if amps and volts:
            limits.append(amps * volts * math.sqrt(3) / 1_000)
    drawn = _power(heard, rack)
    if limits and min(limits) >= drawn:
        return _up(min(limits)), "current limit times voltage of one of its feeds"
    if drawn > 0:
        return _up(drawn * FACTOR), f"half as much again as the {drawn:.1f} kW that it was heard to draw"
    return 140, "nothing was heard of its power; the rating of a GB300 rack"


def _feeds(heard: Heard) -> Mapping[str, int]:
    found: dict[str, int] = defaultdict(int)
    for asset in heard.assets.values():
        if asset.kind == "PowerMeter":
            for child in asset.serves:
                if child in heard.assets and heard.assets[child].kind == RACK:
                    found[child] += 1
    return {rack: min(number, 4) for rack, number in found.items()}


def _power(heard: Heard, rack: str) -> float:
    return _largest(heard, rack, "rack.power.active") or 0.0


def _largest(heard: Heard, asset: str, quantity: str) -> float | None:
    values = [
        heard.largest[number]
        for number, point in heard.points.items()
        if point.asset == asset and point.quantity == quantity and number in heard.largest
    ]
    return max(values, default=None)


def _up(kilowatts: float) -> int:
    return math.ceil(kilowatts / STEP_KW) * STEP_KW


def _names(names: list[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"
