"""What each site adds to the others, by training without it."""
