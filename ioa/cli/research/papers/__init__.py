"""``ioa experiment 001``, ``003``: a command for each paper, and what they share."""
