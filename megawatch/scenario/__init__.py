"""Scenarios played to a broker, or judged in virtual time."""
