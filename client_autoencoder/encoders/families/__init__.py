"""Families of edge networks: one file for each, and a table."""
