"""What an edge network is trained for: one file for each objective, and a table."""
