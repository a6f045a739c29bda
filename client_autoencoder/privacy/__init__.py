"""Mechanisms that change latents before they leave a site."""
