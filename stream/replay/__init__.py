"""A window of a topic, and where its records are read from."""
