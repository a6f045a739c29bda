"""The server's database; all SQL is here."""
