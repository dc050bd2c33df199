"""The site as data: quantities, points, the power and cooling graph, tenants, contracts, readings.

First in the way of a reading: every other package speaks in these words. Nothing here does input or
output, and nothing here asks a clock for the time.
"""
