"""The journal: what was received, synced before it is acknowledged, in the order in which it came."""
