"""Commands of a researcher."""
