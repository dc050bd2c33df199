"""Decoders: one file for each format. Each is pure, and none ever raises for bad data."""
