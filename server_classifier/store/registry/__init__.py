"""Sites, clients and encoders that an operator registered."""
