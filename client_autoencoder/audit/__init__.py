"""Measures what released latents give away: what an attacker gets, and an attack on it."""
