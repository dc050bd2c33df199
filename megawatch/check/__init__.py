"""Checks before and beside a run: the site file, brokers, databases, pagers."""
