"""Rules about the power chain: circuits, phases, feeds."""
