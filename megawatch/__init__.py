"""The command line and the wiring: the only place that reads files and environment and chooses clocks."""
