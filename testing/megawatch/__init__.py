"""The whole monitor in a test, and its command line."""
