"""Fakes: what a test has answer, refuse or hang as it is told."""
