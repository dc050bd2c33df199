"""The ledger: alarms, notifications, acknowledgements and cursors, in one SQLite file."""
