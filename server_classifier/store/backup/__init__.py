"""Snapshots of the database, and looking for damage."""
