"""Request and reply over topics: messages to records and back, on both sides."""
