"""Messages on the disk until the server has answered them."""
