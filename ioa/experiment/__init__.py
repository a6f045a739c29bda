"""The experiments of the papers, run through the real clients, server and broker."""
