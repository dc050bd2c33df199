"""Messages for tests: real, simulated and damaged ones, and how they are published."""
