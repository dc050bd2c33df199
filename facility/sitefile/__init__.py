"""The site file: its tables, how they are read, and every fault of them at once."""
