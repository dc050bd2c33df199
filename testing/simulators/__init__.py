"""Plants and small simulated sites for tests."""
