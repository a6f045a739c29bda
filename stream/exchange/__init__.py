"""Request and reply over topics: messages to records and back, and answers to their askers."""
