"""Backups of the database, and checks for damage."""
