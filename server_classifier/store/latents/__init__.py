"""Rows of latents: stored, selected, and read as arrays."""
