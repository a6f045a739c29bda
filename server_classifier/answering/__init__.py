"""Questions are answered by the newest classifier."""
