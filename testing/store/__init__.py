"""Journals, ledgers and histories for tests, and disks that refuse."""
