"""Messages as bytes: JSON as the paper prints it, Avro, and the published Avro schemas."""
