"""Readings, alarms and cursors at rest.

`journal` takes what the collector read and is what everything else reads; `history` and `influx` carry
it to where people look; `ledger` holds alarms, the outbox and the engine's cursor in one transaction.
"""
