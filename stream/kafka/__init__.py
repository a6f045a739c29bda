"""Talking to Kafka: settings, connection, topics, and reading and writing records."""
