"""Files of models on disk, checked against the sums in their manifest."""
