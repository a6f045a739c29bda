"""Experiments through the real clients, broker and server, and their pages."""
