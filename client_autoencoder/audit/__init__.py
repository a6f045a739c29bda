"""Attackers, to measure what latents give away."""
