"""MQTT bytes to journalled readings.

`session` talks to the broker, `decode` turns topics and payloads into readings of points that `register`
knows, and `service` appends what came together to the journal and only then acknowledges it.
"""
