"""What is so: its record, and the judge who holds it against the contracts."""
