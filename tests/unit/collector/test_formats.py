"""A format is one entry of the registry: everything else finds it there."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Final, get_args

import pytest

from collector.decode.base import Context, Decoder, Gathered, decode_at_once
from collector.decode.registry import FORMATS, Format, Kept, make_decoder, patience_s, topics_of
from collector.mqtt.message import Messages
from collector.register import Register
from collector.row_builder import Ranges
from facility.readings import Reason
from facility.site import Site
from facility.sitefile.tables import BrokerTable
from megawatch.check.live import patience_s as listened_s
from testing.collector.hearing import a_site, raw

TALE: Final = "tales"


class Teller:
    """Refuses what it hears, and knows that one message is missing."""

    missed = 1

    def __init__(self, broker: BrokerTable, site: Site) -> None:
        self.heard_by = f"{broker.name} of {site.name}"

    def decode(self, messages: Messages, into: Gathered) -> Iterator[None]:
        """Refuse each."""
        for message in messages:
            into.rows.refuse(message, Reason.BAD_JSON, f"a tale for {self.heard_by}")
            yield

    def complete(self) -> Iterator[None]:
        """Nothing is left open."""
        return iter(())

    def settle(self, now_ms: int, into: Gathered) -> None:
        """Nothing waits."""

    def problems(self, now_ms: int) -> dict[str, str]:  # noqa: ARG002 - it is always well
        """Nothing is wrong."""
        return {}


def tell(broker: BrokerTable, context: Context, _kept: Kept) -> Decoder:
    """Return a decoder of tales."""
    return Teller(broker, context.site)


def test_one_entry_is_enough_for_a_format(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its decoder, its topics and its pace are found by the name that the site file writes."""
    entry = Format(
        make=tell,
        topics=lambda site: f"tales/{site}/#",
        own_topics=lambda site: f"tales/{site}/#",
        pace_s=lambda _: 20.0,
    )
    monkeypatch.setitem(FORMATS, TALE, entry)
    broker = BrokerTable(url="mqtt://bus").model_copy(update={"format": TALE})
    context = Context(site=a_site(), register=Register({}), ranges=Ranges(), waiting_numbers=count(1))

    gathered = Gathered()
    decode_at_once(
        make_decoder(broker, context), Messages.of([raw("tales/hall/1", b"once upon a time")]), gathered
    )

    (refused,) = gathered.intake(context, 0).rejections
    assert refused.detail == f"a tale for bus of {context.site.name}"
    assert topics_of(broker, "hall") == ("tales/hall/#",)
    assert (patience_s(broker), listened_s(broker)) == (60, 30)


def test_the_site_file_takes_every_format_that_is_read() -> None:
    """What the site file calls formats is what the registry holds."""
    assert set(get_args(BrokerTable.model_fields["format"].annotation)) == set(FORMATS)
