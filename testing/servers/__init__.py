"""Real servers beside the tests, each on loopback and in a folder of its own."""
