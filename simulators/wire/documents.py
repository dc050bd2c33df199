"""Rack documents: one JSON object a rack and period, for a site without a DSX bus."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from formats.rackdoc import PREFIX
from simulators.meters.meters import Readings
from simulators.model.state import Floats, State
from simulators.model.wiring import FEED_LETTERS, Wiring
from simulators.wire.bus import Tag, written
from simulators.wire.points import MILLIWATTS_PER_KW, Catalogue, Gateway, Group, Reader, rack_power, rows_of
from simulators.wire.rows import Form, Rows
from simulators.wire.speech import Clocks

NOMINAL_VOLTS: Final = 415.0
"""Line to line, of a feed that hangs on nothing that is modelled [V]."""

_SQRT3: Final = 3**0.5
_RACK: Final = ("power_kw", "inlet_c", "supply_c", "return_c", "flow_lpm", "leak")
_FEED: Final = ("kw", "kwh", "power_factor", "volts-1", "volts-2", "volts-3", "amps-1", "amps-2", "amps-3")
_KINDS: Final = {
    "power_kw": "rack.power", "inlet_c": "water.temperature", "supply_c": "rack.supply",
    "return_c": "rack.return", "flow_lpm": "rack.flow", "leak": "state",
    "kw": "rack.power", "kwh": "register.each", "power_factor": "tap.factor",
    "volts": "bus.voltage", "amps": "tap.current",
}  # fmt: skip
"""Kind of instrument of each key."""


def document_catalogue(wiring: Wiring, *, samples: bool = False) -> Catalogue:
    """Return every value of the documents of a plant as a point; those of a key stand side by side.

    The points of each key are in the order of the racks. A rack without a feed has that feed's points all the
    same, always 0, so that the table is whole; its document leaves them out.

    Args:
        wiring: The plant's graph and ratings, in arrays.
        samples: Whether the racks' meters show the draw at the instant at which a second begins, instead of
            its mean over the second.
    """
    found = Catalogue(wiring)
    count = len(wiring.racks)
    rating = wiring.rack_rating_milliwatts / MILLIWATTS_PER_KW
    names = [str(rack) for rack in wiring.racks]
    readers: list[tuple[str, str, Reader]] = [
        ("", "power_kw", rack_power(samples=samples)),
        ("", "inlet_c", lambda s: s.rack_inlet_c),
        ("", "supply_c", lambda s: s.rack_supply_c),
        ("", "return_c", lambda s: s.rack_return_c),
        ("", "flow_lpm", lambda s: s.rack_flow_lpm),
        ("", "leak", lambda s: s.rack_leaks * 1.0),
    ]
    for feed in range(wiring.feeds):
        readers += [(FEED_LETTERS[feed].lower(), key, _feed(wiring, feed, key)) for key in _FEED]
    rows, row_of = rows_of(wiring)
    for letter, key, read in readers:
        place = f"feed-{letter}/" if letter else ""
        kind = _KINDS[key.partition("-")[0]]
        found.groups.append(Group(kind, len(found.tags), count, read, rating, key == "kwh"))
        found.tags += [Tag(f"document/{name}/{place}{key}", {"pointType": f"{place}{key}"}) for name in names]
        found.assets += names
    found.gateways = [Gateway(f"GW-{row}", publisher=f"GW-{row}") for row in rows]
    found.gateway = np.tile(row_of, len(readers)).astype(np.int32)
    return found


def _feed(wiring: Wiring, feed: int, key: str) -> Reader:
    taps = wiring.rack_tap[:, feed]

    def volts(state: State) -> Floats:
        if not len(state.node_volts):
            return np.full(len(taps), NOMINAL_VOLTS)
        return np.where(taps >= 0, state.node_volts[taps], NOMINAL_VOLTS)

    def amps(state: State, phase: int) -> Floats:
        phase_volts = volts(state) / _SQRT3 * state.rack_power_factor
        watts = state.phase_milliwatts[:, feed, phase] / 1_000
        return np.divide(watts, phase_volts, out=np.zeros(len(taps)), where=phase_volts > 0)

    name, _, phase = key.partition("-")
    match name:
        case "kw":
            return lambda s: s.feed_milliwatts[:, feed] / MILLIWATTS_PER_KW
        case "kwh":
            return lambda s: s.feed_milliwatts[:, feed] * 1.0
        case "power_factor":
            return lambda s: s.rack_power_factor
        case "volts":
            return lambda s: volts(s) / _SQRT3
        case _:
            return lambda s: amps(s, int(phase) - 1)


class DocumentSpeaker:
    """Speaks as gateways that publish rack documents.

    Args:
        catalogue: What `document_catalogue` gave.
        clocks: When racks are looked at.
        period_s: How often each document comes [s].

    Attributes:
        topics: Topic of each rack's documents.
    """

    def __init__(self, catalogue: Catalogue, clocks: Clocks, *, period_s: int = 1) -> None:
        wiring = catalogue.wiring
        self._racks = [str(rack) for rack in wiring.racks]
        self._clocks = clocks
        self._period_s = period_s
        self._gateway = catalogue.gateway[: len(self._racks)]
        self._sequence = 0
        self._templates = [self._template(wiring, rack) for rack in range(len(self._racks))]
        self._used = self._usable(wiring)
        self.topics = [f"{PREFIX}{wiring.site.name}/{rack}" for rack in self._racks]

    def _template(self, wiring: Wiring, rack: int) -> str:
        feeds = []
        for feed in np.flatnonzero(wiring.rack_has_feed[rack]):
            letter = FEED_LETTERS[feed].lower()
            feeds.append(
                f'"{letter}":{{"kw":%s,"kwh":%s,"power_factor":%s,"volts":[%s,%s,%s],"amps":[%s,%s,%s]}}'
            )
        values = ",".join(f'"{key}":%s' for key in _RACK)
        joined = ",".join(feeds)
        return f'{{"rack":"{self._racks[rack]}","time":%d,"seq":%d,{values},"feeds":{{{joined}}}}}'

    def _usable(self, wiring: Wiring) -> list[NDArray[np.int64]]:
        """Return which columns of the table each rack's document has."""
        own = np.arange(len(_RACK))
        return [
            np.concatenate(
                [own]
                + [
                    len(_RACK) + feed * len(_FEED) + np.arange(len(_FEED))
                    for feed in np.flatnonzero(wiring.rack_has_feed[rack])
                ]
            )
            for rack in range(len(self._racks))
        ]

    def beats_in(self, second: int) -> bool:  # noqa: ARG002 - documents have no heartbeat
        """Return that none are."""
        return False

    def beats(self, readings: Readings) -> Rows:  # noqa: ARG002 - documents have no heartbeat
        """Return nothing."""
        return Rows.none()

    def say(self, readings: Readings, points: NDArray[np.int64]) -> Rows:  # noqa: ARG002 - a document says it all
        """Return the documents of a second, in order of time."""
        if readings.second % self._period_s:
            return Rows.none()
        count = len(self._racks)
        self._sequence += 1
        values = readings.value.reshape(-1, count).T.tolist()
        forms = readings.form.reshape(-1, count).T
        # The catalogue writes states as whole numbers; everything else that is not a number was made so.
        odd = (
            forms != np.array([Form.WHOLE if key == "leak" else Form.NUMBER for key in self._keys(forms)])
        ).any(1)
        at_ms = readings.time_ms + self._clocks.phase_ms[:count]
        error = self._clocks.error_ms(readings.second)[self._gateway]
        said_ms = (at_ms + error + readings.shift_ms[:count]).tolist()
        payloads = []
        for rack, row in enumerate(values):
            texts = [repr(row[i]) for i in self._used[rack]]
            if odd[rack]:
                texts = [written(Form(int(forms[rack, i])), row[i]) for i in self._used[rack]]
            else:
                texts[_RACK.index("leak")] = str(int(row[_RACK.index("leak")]))
            payloads.append((self._templates[rack] % (said_ms[rack], self._sequence, *texts)).encode())
        sent = at_ms + self._clocks.latency_ms[self._gateway]
        faults = np.bitwise_or.reduce(readings.faults.reshape(-1, count), axis=0)
        rows = Rows.of_payloads(np.arange(count, dtype=np.int32), sent, payloads)
        return rows.changed(time_ms=at_ms, faults=faults).in_order()

    @staticmethod
    def _keys(forms: NDArray[np.uint8]) -> list[str]:
        feeds = (forms.shape[1] - len(_RACK)) // len(_FEED)
        return [*_RACK, *(_FEED * feeds)]

    def value_channels(self, points: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the racks whose documents have some of the points."""
        return np.unique(points % len(self._racks))

    def metadata_channels(self, points: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return none: documents describe themselves."""
        return points[:0]

    def heartbeat_channels(self, gateways: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return none: a document is a sign of life."""
        return gateways[:0]

    def births(self, channels: NDArray[np.int64], at_ms: int) -> Rows:  # noqa: ARG002 - nothing to describe
        """Return none: documents describe themselves."""
        return Rows.none()
