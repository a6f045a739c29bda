"""Images of a site as batches of pixels [N, 1, H, W] in 0..1."""
