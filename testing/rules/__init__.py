"""Halls, engines and notifications for the tests of the rules."""
