"""The context, the health and the metrics of every service; registering a client."""
