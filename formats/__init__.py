"""Vendor formats, as data: topics, payload keys, type names. Shared by collector and simulators."""
