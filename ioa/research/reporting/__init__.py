"""How results are shown and kept, the same for papers and studies."""
