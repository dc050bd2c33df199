"""Telling people: from the outbox, at least once, with a key that never changes for a change of an alarm."""
