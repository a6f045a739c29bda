"""The dead-letter topic: reading it, and sending its records again."""
