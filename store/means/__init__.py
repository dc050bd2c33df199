"""Means over minutes and quarter-hours, weighed by time, with the share of each that was covered."""
