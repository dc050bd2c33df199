"""What is spoken: points and their metadata, messages, packets, and what goes wrong on the way."""
