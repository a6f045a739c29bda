"""Files that are written whole, and checked against a sum before they are used."""
