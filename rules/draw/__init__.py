"""From points to tenants: metering boundaries, sums with bounds, demand blocks."""
