"""Records that cannot be decoded or used: written to the dead-letter topic, read, sent again."""
