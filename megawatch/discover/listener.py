"""What is heard on a DSX bus by a client that only listens."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count, pairwise
from statistics import median
from typing import Final
from zoneinfo import ZoneInfo

from collector.decode.base import Context, Gathered, decode_at_once
from collector.decode.dsx import DsxDecoder
from collector.decode.registry import topics_of
from collector.mqtt.message import Messages
from collector.register import Register
from collector.row_builder import IN_SECONDS, Ranges
from facility.kinds import RACK
from facility.names import AssetId
from facility.points import Asset, Point
from facility.readings import Quality, Rejection
from facility.site import Site
from facility.sitefile.tables import BrokerTable
from formats.dsx import FOREIGN_FORMS, FOREIGN_POINT_TYPES, foreign_form
from megawatch.cli.outputs import Figures
from store.journal.entries import Known

MOST_LEFT_OUT: Final = 1_000
"""So many topics that were refused are kept (our choice)."""


@dataclass(slots=True)
class Heard:
    """What a bus told.

    Attributes:
        assets: Every asset that was described.
        points: Every point, by its number.
        largest: The largest good value of each point, in canonical units.
        messages: How many messages there were.
        refused: How many of them could not be understood, by reason.
        waiting: How many values had no metadata.
        beats_ms: When each heartbeat was sent, by its point [ms].
        publishers: Who described the site, or publishes what was described.
        forms: How many messages were of a form that other programs speak, by its name in `FOREIGN_FORMS`.
        left_out: What is no part of the proposal: the first refusal of each topic, `MOST_LEFT_OUT` at most.
    """

    assets: dict[AssetId, Asset] = field(default_factory=dict)
    points: dict[int, Point] = field(default_factory=dict)
    largest: dict[int, float] = field(default_factory=dict)
    messages: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    waiting: int = 0
    beats_ms: dict[int, list[int]] = field(default_factory=dict)
    publishers: list[str] = field(default_factory=list)
    forms: Counter[str] = field(default_factory=Counter)
    left_out: dict[str, Rejection] = field(default_factory=dict)

    @property
    def racks(self) -> list[str]:
        """The racks, in order."""
        return sorted(asset.id for asset in self.assets.values() if asset.kind == RACK)

    @property
    def without_power(self) -> list[str]:
        """Racks without a point of power, in order."""
        powered = {point.asset for point in self.points.values() if point.quantity == "rack.power.active"}
        return [rack for rack in self.racks if rack not in powered]

    @property
    def beat_s(self) -> int | None:
        """How often the heartbeat comes that comes least often [s]; None while none came twice."""
        gaps_ms = [
            median(later - earlier for earlier, later in pairwise(times))
            for times in self.beats_ms.values()
            if len(times) > 1
        ]
        return max(1, round(max(gaps_ms) / 1_000)) if gaps_ms else None

    def values(self, quantity: str) -> dict[str, float]:
        """Return the largest value of a quantity that was heard of each asset."""
        found: dict[str, float] = {}
        for number, point in self.points.items():
            if point.quantity == quantity and number in self.largest:
                found[point.asset] = max(self.largest[number], found.get(point.asset, -math.inf))
        return found

    def remarks(self, named: Sequence[str] | None) -> list[str]:
        """Return what should be looked at: who is not named, and forms that are not of the contract.

        Args:
            named: Publishers that the site file names; None where it names none.
        """
        strangers = [name for name in self.publishers if named is not None and name not in named]
        found = [f"{name} publishes and is not named under publishers: not believed" for name in strangers]
        return found + [f"heard as well: {FOREIGN_FORMS[form]}" for form in sorted(self.forms)]

    def figures(self) -> Figures:
        """Return in figures what was heard."""
        return {
            "racks": len(self.racks),
            "assets": len(self.assets),
            "points": len(self.points),
            "points_with_values": len(self.largest),
            "messages": self.messages,
            "without_metadata": self.waiting,
            "refused": dict(self.refused),
            "publishers": self.publishers,
            "left_out": [
                {"topic": topic, "reason": refused.reason.value, "detail": refused.detail}
                for topic, refused in self.left_out.items()
            ],
            "racks_without_power": self.without_power,
            "other_forms": {form: FOREIGN_FORMS[form] for form in sorted(self.forms)},
        }


class Listener:
    """Takes in what a DSX bus says.

    Args:
        broker: Its `[[broker]]` table.
    """

    def __init__(self, broker: BrokerTable) -> None:
        self._broker = broker
        self._register = Register({})
        self._ranges = Ranges()
        context = Context(
            site=Site(name="discovery", zone=ZoneInfo("UTC")),
            register=self._register,
            ranges=self._ranges,
            waiting_numbers=count(1),
        )
        # Every publisher is heard: people decide which are believed.
        self._decoder = DsxDecoder(broker.model_copy(update={"publishers": None}), context, {})
        self.heard = Heard()

    @property
    def topics(self) -> tuple[str, ...]:
        """The topic filters to listen to."""
        return topics_of(self._broker, "")

    def take(self, messages: Messages) -> None:
        """Take in messages, in order."""
        gathered = Gathered()
        decode_at_once(self._decoder, messages, gathered)
        batch = gathered.rows.batch(self._ranges)
        heard = self.heard
        heard.messages += len(messages)
        heard.waiting += len(gathered.waiting) - len(gathered.settled)
        for rejection in gathered.rows.rejections:
            heard.refused[rejection.reason.value] += 1
            if len(heard.left_out) < MOST_LEFT_OUT:
                heard.left_out.setdefault(rejection.topic, rejection)
            if form := _form_of(rejection):
                heard.forms[form] += 1
        heard.publishers = self._decoder.publishers.believed
        for known in self._register.news():
            self._learn(known)
        good = batch.take(batch.quality == Quality.GOOD)
        for point, at_ms in zip(batch.point.tolist(), batch.source_ms.tolist(), strict=True):
            if heard.points[point].is_heartbeat:
                heard.beats_ms.setdefault(point, []).append(at_ms)
        for point, value in zip(good.point.tolist(), good.value.tolist(), strict=True):
            heard.largest[point] = max(value, heard.largest.get(point, value))

    def _learn(self, known: Known) -> None:
        self.heard.points[known.id] = known.point
        if known.point.point_type in FOREIGN_POINT_TYPES:
            self.heard.forms["LeakDetectRack"] += 1
        if known.asset is not None:
            before = self.heard.assets.get(known.asset.id)
            if before is None or len(before.serves) < len(known.asset.serves):
                self.heard.assets[known.asset.id] = known.asset


def _form_of(rejection: Rejection) -> str:
    """Return the other form of the bus that a refused message has, "" for none that is known."""
    return "time in seconds" if rejection.detail.endswith(IN_SECONDS) else foreign_form(rejection.topic)
