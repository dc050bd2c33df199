"""What is known of each point: its last value, whether it is fresh, certain, in doubt, and why."""
