"""Scenarios of the rules: their notation, and what runs them."""
