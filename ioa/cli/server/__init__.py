"""Commands of the server's operator."""
