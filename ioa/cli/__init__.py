"""The command line; the reports of a command are beside it."""
