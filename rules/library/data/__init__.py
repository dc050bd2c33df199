"""Rules about data: silence, coverage, clocks, meters that disagree."""
