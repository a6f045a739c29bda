"""Messages as bytes: the JSON form of the paper, the Avro form, and the Avro schemas."""
