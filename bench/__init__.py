"""Benchmarks: each beside the competing way, in the same run."""
