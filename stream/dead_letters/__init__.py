"""The dead-letter topic: what cannot be used is written there, read by people, and sent again."""
