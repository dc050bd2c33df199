"""Saying it to a broker: connections, what is on its way, and keeping time."""
