"""What readings come from: a broker with its collector, or a database with its feeder, as one record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # whoever only reads a status needs none of them
    from collector.decode.base import Decoder
    from collector.mqtt.session import Session
    from collector.service import Collector
    from megawatch.run.influx_poller import Feeder, Link


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What readings come from.

    Attributes:
        collector: Takes them in.
        session: The connection.
        decoder: Turns messages into readings; None for a database, whose rows are readings.
    """

    collector: Collector | Feeder
    session: Session | Link
    decoder: Decoder | None = None

    @property
    def rate_per_s(self) -> float | None:
        """How much is published at most [messages/s]; None where that is not known."""
        from collector.service import Collector  # noqa: PLC0415 - likewise

        return self.collector.keeping.rate_per_s if isinstance(self.collector, Collector) else None

    @property
    def missed_documents(self) -> int:
        """How many rack documents never came, by the gaps in their numbers; 0 where there are no such."""
        from collector.decode.rackdocument import RackDocumentDecoder  # noqa: PLC0415 - likewise

        return self.decoder.missed if isinstance(self.decoder, RackDocumentDecoder) else 0
