"""Salehinejad et al.: latents of five clients, sent once, train one classifier."""
