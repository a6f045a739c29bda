"""Studies: classifiers trained on datasets under many settings, seeds and folds."""
