"""What every service has: its context, health and metrics."""
