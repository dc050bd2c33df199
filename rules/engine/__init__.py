"""Entries of the journal in, alarms and series out: live, settled, from a snapshot on."""
