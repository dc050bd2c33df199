"""From verdicts to alarms: delays, deadbands, memory."""
