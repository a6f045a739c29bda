"""The experiments of papers, one folder each."""
