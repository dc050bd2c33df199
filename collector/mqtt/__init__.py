"""One session with one broker: connections, acknowledgements, versions of MQTT."""
