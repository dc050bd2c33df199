"""Discovery: from what a bus tells to a proposed site file."""
