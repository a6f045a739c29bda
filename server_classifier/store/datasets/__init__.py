"""Named, unchanging lists of latents."""
