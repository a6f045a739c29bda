"""The typed messages, their rules, their envelope, and dead letters."""
