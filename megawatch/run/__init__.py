"""The monitor as it runs: parts, supervision, status, and telling of its own faults."""
