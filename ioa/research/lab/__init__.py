"""A whole consortium on this machine: clients, server and broker, each a real process."""
