"""InfluxDB: lines written to it, questions asked of it, readings of others taken from it."""
