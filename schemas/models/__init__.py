"""The manifests of encoders and classifiers."""
