"""The commands: options, output for people, documents for programs."""
