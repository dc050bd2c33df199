"""Background traffic for a benchmark: DSX values of many racks at a steady rate, until it is terminated."""

from __future__ import annotations

import sys
import time
from typing import Final

from simulators.wire.bus import Tag, metadata_message, rack_tag, value_message
from testing.collector.publishing import Publisher

RACKS: Final = 5_000
SLICE_S: Final = 0.05


def load_points() -> list[Tag]:
    """Return the power of racks that nobody holds."""
    return [rack_tag(f"load-{i}", "RackPower", f"load/rack{i}/power", "kW") for i in range(RACKS)]


def main() -> None:
    """Publish metadata, say `ready`, and then values."""
    port, rate = int(sys.argv[1]), int(sys.argv[2])
    points = load_points()
    with Publisher(port, "bench-load") as publisher:
        for point in points:
            message = metadata_message(point)
            publisher.publish(message.topic, message.payload, retain=True)
        publisher.flush()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        begin, said = time.monotonic(), 0
        while True:
            due = round((time.monotonic() - begin) * rate)
            for number in range(said, due):
                at_ms = time.time_ns() // 1_000_000  # noqa: TID251 - the site has a clock of its own
                message = value_message(points[number % RACKS], 50 + number % 89 / 10, at_ms)
                publisher.publish(message.topic, message.payload, qos=0)
            said = due
            time.sleep(SLICE_S)


if __name__ == "__main__":
    main()
