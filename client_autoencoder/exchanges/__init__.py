"""What a client sends and what it is answered: learning messages and questions."""
