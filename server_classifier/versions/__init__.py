"""When a classifier is trained, and how a version of it is stored."""
