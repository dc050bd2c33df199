"""Whether a stream is whole: breaks, backlogs, and what a broker can keep."""
