"""Rows of latents: written, selected, and read as arrays."""
