"""Commands about Kafka and its topics."""
