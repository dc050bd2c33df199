"""The formats that are read, one entry each, by what the site file calls them (`format` of a broker)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from collector.decode.base import Context, Decoder
from collector.decode.dsx import DsxDecoder
from collector.decode.rackdocument import RackDocumentDecoder
from facility.sitefile.tables import BrokerTable, Pace
from formats import dsx, rackdoc
from store.journal.file import Waiting

LEAST_PATIENCE_S: Final = 5.0
"""What comes more often than this is not missed sooner (our choice)."""
MISSED: Final = 3
"""How many of what comes most often may be missing before a source is silent (our choice)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What an earlier run left for the decoders of this one.

    Attributes:
        metadata: The metadata messages that describe the points, payload by topic.
        waiting: Messages that wait for their metadata.
    """

    metadata: Mapping[str, bytes] = field(default_factory=dict)
    waiting: Iterable[Waiting] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A format: how it is read, and what is usual where it is spoken.

    Attributes:
        make: Builds the decoder of one broker.
        topics: The filter of everything that is said, by the site's name.
        own_topics: The filter of what one site says, where several share a broker, by the site's name.
        pace_s: How often something comes from each publisher at least [s].
        describes_site: Whether it describes assets too, as `discover` and `check` read it.
    """

    make: Callable[[BrokerTable, Context, Kept], Decoder]
    topics: Callable[[str], str]
    own_topics: Callable[[str], str]
    pace_s: Callable[[Pace], float]
    describes_site: bool = False


FORMATS: Final[dict[str, Format]] = {
    "dsx": Format(
        make=lambda broker, context, kept: DsxDecoder(broker, context, kept.metadata, kept.waiting),
        topics=lambda _site: dsx.TOPICS,
        own_topics=lambda site: f"{dsx.PREFIX}+/+/+/+/{site}/#",
        pace_s=lambda pace: pace.heartbeat_s,
        describes_site=True,
    ),
    "rack-documents": Format(
        make=lambda broker, context, _kept: RackDocumentDecoder(broker, context),
        topics=rackdoc.topic_filter,
        own_topics=rackdoc.topic_filter,
        pace_s=lambda pace: pace.period_s,
    ),
}


def make_decoder(broker: BrokerTable, context: Context, kept: Kept | None = None) -> Decoder:
    """Return what reads the messages of a broker.

    Args:
        broker: Its `[[broker]]` table.
        context: What decoders share.
        kept: What an earlier run left; nothing where there was none.
    """
    return FORMATS[broker.format].make(broker, context, kept or Kept())


def topics_of(broker: BrokerTable, site: str) -> tuple[str, ...]:
    """Return the topic filters of a broker: its own, else those of its format.

    Args:
        broker: Its `[[broker]]` table.
        site: Name of the site, a level of the topics of rack documents.
    """
    return tuple(broker.topics or (FORMATS[broker.format].topics(site),))


def pace_s(broker: BrokerTable) -> float:
    """Return how often something comes from each publisher of a broker at least [s]."""
    return FORMATS[broker.format].pace_s(broker)


def patience_s(broker: BrokerTable) -> float:
    """Return after how long without anything a broker is silent [s]."""
    return MISSED * max(pace_s(broker), LEAST_PATIENCE_S)
