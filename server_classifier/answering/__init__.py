"""Questions to replies by the newest version."""
