"""Rules about liquid cooling: flow, temperature, pressure."""
