"""When a classifier is trained, and how its new version is stored."""
