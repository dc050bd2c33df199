"""`make demo`: a broker, a simulated site and the whole monitor, with nothing left behind."""
